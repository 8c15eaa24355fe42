"""Ask a model the questions about some media, and score what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpo_core.errors import TpoError
from tpo_core.evaluation.benchmark import Benchmark, Case, Item
from tpo_core.evaluation.result import Prediction
from tpo_core.evaluation.scoring import Outcome, score_outcomes

if TYPE_CHECKING:
    from tpo_core.inference import Answer, Question
    from tpo_core.media.types import Media
    from tpo_core.model import TpoModel


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A case whose turn it is: its media, or why they cannot be read, and what lacks a head."""

    case: Case
    lacking: tuple[tuple[str, ...], ...]
    media: Media | None = None
    error: str = ""

    @property
    def items(self) -> list[Item]:
        """The questions that are put to the model."""
        if self.media is None:
            return []
        return [
            item for item, lacking in zip(self.case.items, self.lacking, strict=True) if not lacking
        ]


def answer_cases(
    benchmark: Benchmark, model: TpoModel, cases: Sequence[Case]
) -> Iterator[list[Prediction]]:
    """Answer the questions about some media together, and score them.

    Args:
        benchmark: Whose questions they are.
        model: The model.
        cases: The media, which are held together, and their questions.

    Yields:
        The predictions of each case, in order.
    """
    asked = [_load(model, case) for case in cases]
    questions = [
        _question(item, one.media) for one in asked if one.media is not None for item in one.items
    ]
    answers = iter(_predict(model, questions, benchmark.decoding))
    for one in asked:
        outcomes = [
            _outcome(benchmark, one, item, lacking, answers)
            for item, lacking in zip(one.case.items, one.lacking, strict=True)
        ]
        yield score_outcomes(benchmark, one.case, outcomes)


def _load(model: TpoModel, case: Case) -> _Asked:
    lacking = tuple(_lacking(model, item) for item in case.items)
    if all(lacking):
        return _Asked(case, lacking)
    try:
        return _Asked(case, lacking, media=case.load(model.backbone.choose_frames))
    except (TpoError, OSError) as error:
        return _Asked(case, lacking, error=f"the media cannot be read: {error}")


def _lacking(model: TpoModel, item: Item) -> tuple[str, ...]:
    """Return the tasks of a question, prompts included, that the model has no head for."""
    wanted = (*item.tasks, *(prompt.task for prompt in item.boxes))
    return tuple(sorted({task for task in wanted if task not in model.head_by_task}))


def _question(item: Item, media: Media) -> Question:
    from tpo_core.inference import Question

    return Question(media, item.text, box=item.boxes or None, prefix=item.prefix)


def _outcome(
    benchmark: Benchmark,
    asked: _Asked,
    item: Item,
    lacking: tuple[str, ...],
    answers: Iterator[Answer | TpoError],
) -> Outcome:
    if lacking:
        return Outcome(status="no head", reason=f"the model has no head for {', '.join(lacking)}")
    if asked.media is None:
        return Outcome(status="failed", reason=asked.error)
    answer = next(answers)
    if isinstance(answer, TpoError):
        return Outcome(status="failed", reason=str(answer))
    return Outcome(answer=answer.text, predicted=benchmark.read(item, answer, asked.media))


def _predict(
    model: TpoModel, questions: Sequence[Question], options: Mapping[str, Any]
) -> list[Answer | TpoError]:
    """Answer questions together; one by one if that fails, so that one error costs one answer."""
    if not questions:
        return []
    try:
        return list(model.predict_batch(questions, **options))
    except TpoError as error:
        if len(questions) == 1:
            return [error]
    return [answer for one in questions for answer in _predict(model, [one], options)]
