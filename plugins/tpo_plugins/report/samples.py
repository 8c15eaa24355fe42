"""Choose what a report shows: the first of each kind in the test split, and the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpo_plugins.benchmarks.scoring import match_results


@dataclass(frozen=True, slots=True)
class Shown:
    """A prediction and why it is shown.

    Args:
        prediction: As `tpo_core.evaluation.Prediction` has it.
        worst: Whether it is shown for being among the worst.
    """

    prediction: Mapping[str, Any]
    worst: bool = False


def choose(
    predictions: Sequence[Mapping[str, Any]], *, task: str, score: str, each: int, worst: int
) -> list[Shown]:
    """Return the first predictions of each kind of a task, then the worst of the rest.

    A media item is shown once among the first, as long as others are left.

    Args:
        predictions: In the order of the test split.
        task: The task, which kinds begin with.
        score: The value that says what is worst; ties go to the earlier one.
        each: How many of the first of each kind.
        worst: How many of the worst.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for one in predictions:
        if one["kind"].startswith(f"{task}/"):
            kinds.setdefault(one["kind"], []).append(one)
    first: list[Mapping[str, Any]] = []
    for found in kinds.values():
        seen = {one["media"] for one in first}
        # Sorting is stable: unseen media first, each part in the order of the split.
        first += _distinct(sorted(found, key=lambda one: one["media"] in seen))[:each]
    shown = {one["id"] for one in first}
    rest = [one for found in kinds.values() for one in found if one["id"] not in shown]
    rest.sort(key=lambda one: mean(one, score))
    return [Shown(one) for one in first] + [Shown(one, worst=True) for one in rest[:worst]]


def _distinct(predictions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Move second and later predictions about a media item to the end."""
    seen: set[str] = set()
    early: list[Mapping[str, Any]] = []
    late: list[Mapping[str, Any]] = []
    for one in predictions:
        (late if one["media"] in seen else early).append(one)
        seen.add(one["media"])
    return early + late


def mean(prediction: Mapping[str, Any], score: str) -> float:
    """Return the mean of a prediction's values of one name; 0 without any."""
    values = prediction["scores"].get(score, ())
    return sum(values) / len(values) if values else 0.0


def results_of(prediction: Mapping[str, Any]) -> list[Mapping[str, Any] | None]:
    """Return what a prediction has for each target of its question; None where it lacks."""
    tasks = (target["task"] for target in prediction["truth"])
    return match_results(tasks, prediction["predicted"])
