"""Choose which samples a report shows: some right, some wrong, by a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tpo_core.evaluation import Prediction

Verdict = Literal["right", "wrong", "not scored"]
RIGHT_FROM: Final = 0.5
"""A prediction is right if the mean of its headline values is this or more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A prediction that is shown.

    Args:
        prediction: The prediction.
        verdict: Whether it is right.
        metric: By which figure; empty if it is not scored.
        value: The mean of its values of that figure.
    """

    prediction: Prediction
    verdict: Verdict
    metric: str = ""
    value: float = 0.0


def choose_samples(
    predictions: Sequence[Prediction], *, metrics: Sequence[str], each: int, seed: int
) -> list[Chosen]:
    """Return up to `each` right, wrong and unscored predictions, right ones first.

    They are drawn at random, from as many kinds of questions as there are; unscored ones are those
    whose labels are not public or that the official rule leaves out.

    Args:
        predictions: Of a result.
        metrics: Figures of its benchmark; the first that a prediction has a value of says whether
            it is right.
        each: How many of each verdict.
        seed: Gives the same choice every time.
    """
    judged = [_judged(one, metrics) for one in predictions]
    random.Random(seed).shuffle(judged)
    chosen: list[Chosen] = []
    for verdict in ("right", "wrong", "not scored"):
        chosen += _spread([one for one in judged if one.verdict == verdict])[:each]
    return chosen


def _judged(prediction: Prediction, metrics: Sequence[str]) -> Chosen:
    for name in metrics:
        if values := prediction.scores.get(name):
            mean = sum(values) / len(values)
            verdict: Verdict = "right" if mean >= RIGHT_FROM else "wrong"
            return Chosen(prediction=prediction, verdict=verdict, metric=name, value=mean)
    return Chosen(prediction=prediction, verdict="not scored")


def _spread(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Put the first of each kind before the second of any, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for one in chosen:
        turns.append((seen[one.prediction.kind], one))
        seen[one.prediction.kind] += 1
    return [one for _, one in sorted(turns, key=lambda turn: turn[0])]
