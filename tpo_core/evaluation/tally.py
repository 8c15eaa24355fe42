"""Add up scores, and count what was missing, failed or could not be read."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tpo_core.evaluation.benchmark import Benchmark, Case, Item, Score
from tpo_core.evaluation.result import EvaluationResult, Prediction, Status
from tpo_core.records.quarantine import BadSample

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.model import TpoModel

ALL = "all"
"""The entry of a result's details that holds the figures over every kind."""

_PACKAGES = ("tpo", "torch", "transformers", "peft", "sam2")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A question with what came of it: an answer, an error, or tasks without a head."""

    case: Case
    item: Item
    answer: Answer | None = None
    error: str = ""
    lacking: tuple[str, ...] = ()


class Tally:
    """Figures and predictions so far.

    Args:
        benchmark: Scores the answers.
        tasks: Tasks that the model has a head for.
    """

    def __init__(self, benchmark: Benchmark, *, tasks: Collection[str]) -> None:
        self.benchmark = benchmark
        self.tasks = tasks
        self.media = 0
        self.quarantined: list[BadSample] = []
        self.predictions: list[Prediction] = []
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._lacking: Counter[str] = Counter()

    def quarantine(self, sample: BadSample) -> None:
        """Count a record that could not be read; it is in no figure."""
        self.media += 1
        self.quarantined.append(sample)

    def lacking(self, item: Item) -> tuple[str, ...]:
        """Return the tasks of a question, prompts included, that the model has no head for."""
        wanted = (*item.tasks, *(prompt.task for prompt in item.boxes))
        return tuple(sorted({task for task in wanted if task not in self.tasks}))

    def add(self, outcome: Outcome) -> None:
        """Score an answer and count it."""
        item, answer = outcome.item, outcome.answer
        self._lacking.update(outcome.lacking)
        score = self.benchmark.score(item, answer)
        for name, values in score.values.items():
            self._values[ALL][name].extend(values)
            self._values[item.kind][name].extend(values)
        status, reason = _status(outcome, score)
        self.predictions.append(
            Prediction(
                id=item.id,
                kind=item.kind,
                media=outcome.case.media.source,
                question=item.text,
                prompts=tuple(prompt.model_dump(mode="json") for prompt in item.boxes),
                answer=None if answer is None else answer.text,
                status=status,
                reason=reason,
                scores={name: tuple(values) for name, values in score.values.items()},
                truth=score.truth,
                predicted=score.predicted,
            )
        )

    def result(self, model: TpoModel, *, seconds: float) -> EvaluationResult:
        """Return what was found.

        Args:
            model: The model that was asked.
            seconds: How long it took.
        """
        details = {
            kind: {name: _figure(values) for name, values in self._values[kind].items()}
            for kind in (ALL, *sorted(set(self._values) - {ALL}))
        }
        figures = details[ALL]
        statuses = Counter(prediction.status for prediction in self.predictions)
        return EvaluationResult(
            benchmark=self.benchmark.name,
            metrics={
                name: figures[name]["mean"] if name in figures else None
                for name in self.benchmark.metrics
            },
            counts={
                "media": self.media,
                "quarantined": len(self.quarantined),
                "questions": len(self.predictions),
                **{name: statuses[name] for name in ("answered", "missing", "failed", "no head")},
            },
            details=details,
            notes=tuple(self._notes()),
            protocol=self.benchmark.protocol,
            model=described(model),
            versions=versions(),
            seconds=seconds,
            predictions=tuple(self.predictions),
        )

    def _notes(self) -> Iterable[str]:
        for task, number in sorted(self._lacking.items()):
            yield (
                f"the model has no head for {task}: {number} questions that need it were not "
                "asked and score 0"
            )
        if self.quarantined:
            yield (
                f"{len(self.quarantined)} of {self.media} records cannot be used and are in no "
                f"figure; the first: {self.quarantined[0]}"
            )
        failed = [prediction for prediction in self.predictions if prediction.status == "failed"]
        if failed:
            yield f"{len(failed)} answers failed and score 0; the first: {failed[0].reason}"


def described(model: TpoModel) -> dict[str, Any]:
    """Return what a model is made of as plain JSON values."""
    return {"backbone": model.origin.backbone, "heads": sorted(model.origin.heads)}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _status(outcome: Outcome, score: Score) -> tuple[Status, str]:
    if outcome.lacking:
        return "no head", f"the model has no head for {', '.join(outcome.lacking)}"
    if outcome.error:
        return "failed", outcome.error
    if score.missing:
        things = "thing" if score.missing == 1 else "things"
        return "missing", f"{score.missing} {things} to predict not in the answer"
    return "answered", ""


def _figure(values: list[float]) -> Mapping[str, float]:
    # Rounded in the last digits only, so that a sum's order cannot show.
    return {"mean": round(sum(values) / len(values), 6), "count": len(values)}
