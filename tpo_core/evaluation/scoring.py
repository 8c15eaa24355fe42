"""Score what came of the questions of a case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpo_core.errors import PluginError
from tpo_core.evaluation.benchmark import Benchmark, Case, Score
from tpo_core.evaluation.result import Prediction, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a question.

    Args:
        answer: The model's text; None if it gave none.
        predicted: The fields of its prediction; None if there is none.
        status: `answered` until the score shows that something is missing.
        reason: Why, unless answered.
    """

    answer: str | None = None
    predicted: Mapping[str, Any] | None = None
    status: Status = "answered"
    reason: str = ""


def score_outcomes(
    benchmark: Benchmark, case: Case, outcomes: Sequence[Outcome]
) -> list[Prediction]:
    """Return a case's questions with what came of them and what that is worth.

    Args:
        benchmark: Whose questions they are.
        case: The media and the questions.
        outcomes: Of each question, in order.

    Raises:
        PluginError: If the benchmark gives values that are not plain JSON.
    """
    predicted = [plain(benchmark, one.predicted) for one in outcomes]
    scores = benchmark.score_case(case.items, predicted)
    predictions = []
    for item, outcome, fields, score in zip(case.items, outcomes, predicted, scores, strict=True):
        status, reason = _status(outcome, score)
        predictions.append(
            Prediction(
                id=item.id,
                kind=item.kind,
                media=case.media,
                question=item.text,
                prefix=item.prefix,
                prompts=tuple(prompt.model_dump(mode="json") for prompt in item.boxes),
                answer=outcome.answer,
                status=status,
                reason=reason,
                scores={name: tuple(map(float, values)) for name, values in score.values.items()},
                curves={name: tuple(map(float, heights)) for name, heights in score.curves.items()},
                truth=plain(benchmark, score.truth),
                predicted=fields,
            )
        )
    return predictions


def plain(benchmark: Benchmark, value: Any) -> Any:
    """Return JSON values as they come back from a file.

    A figure must not depend on whether predictions were written and read in between.

    Raises:
        PluginError: If the value is no plain JSON.
    """
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"benchmark {benchmark.name} gives a prediction or a truth that is not plain JSON "
            f"({error}); return lists, texts, numbers and mappings"
        ) from error


def _status(outcome: Outcome, score: Score) -> tuple[Status, str]:
    if outcome.status != "answered" or not score.missing:
        return outcome.status, outcome.reason
    things = "thing" if score.missing == 1 else "things"
    return "missing", f"{score.missing} {things} to predict not in the answer"
