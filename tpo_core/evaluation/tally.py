"""Add up scores, and count what was missing, failed or could not be read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpo_core.errors import PluginError
from tpo_core.evaluation.benchmark import Benchmark, Curve
from tpo_core.evaluation.intervals import Floats, Totals, bootstrap_intervals
from tpo_core.evaluation.result import EvaluationResult, Prediction
from tpo_core.records.quarantine import BadSample

ALL = "all"
"""The entry of a result's details that holds the figures over every kind."""


class Tally:
    """Figures and predictions so far.

    Args:
        benchmark: Names the figures and says which are means over kinds.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.media = 0
        self.quarantined: list[BadSample] = []
        self.predictions: list[Prediction] = []

    def quarantine(self, sample: BadSample) -> None:
        """Count a record that could not be read; it is in no figure."""
        self.media += 1
        self.quarantined.append(sample)

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Count the predictions of a case."""
        self.media += 1
        self.predictions += predictions

    def result(self, *, run: Mapping[str, Any], seconds: float) -> EvaluationResult:
        """Return what was found.

        Args:
            run: What was evaluated on what; see `described_run`.
            seconds: How long it took.

        Raises:
            PluginError: If the heights of a curve do not fit the benchmark's.
        """
        values = self._values()
        totals = {
            name: self._totals(name) for name in self.benchmark.metrics if values[ALL].get(name)
        }
        intervals = bootstrap_intervals(totals)
        metrics = {
            name: _figure(totals[name]) if name in totals else None
            for name in self.benchmark.metrics
        }
        details = {
            kind: {name: _mean(each) for name, each in values[kind].items() if each}
            for kind in (ALL, *sorted(values.keys() - {ALL}))
        }
        for name in self.benchmark.macro:
            if name in details[ALL]:
                details[ALL][name]["mean"] = _figure(totals[name])
        statuses = Counter(prediction.status for prediction in self.predictions)
        return EvaluationResult(
            **run,
            metrics=metrics,
            intervals={name: intervals.get(name) for name in self.benchmark.metrics},
            counts={
                "media": self.media,
                "quarantined": len(self.quarantined),
                "questions": len(self.predictions),
                **{name: statuses[name] for name in ("answered", "missing", "failed", "no head")},
            },
            details=details,
            curves=self._curves(),
            notes=tuple(self._notes()),
            seconds=seconds,
            predictions=tuple(self.predictions),
        )

    def _values(self) -> dict[str, dict[str, list[float]]]:
        """Return the values of each metric, by kind and over all of them."""
        values: dict[str, dict[str, list[float]]] = {ALL: defaultdict(list)}
        for one in self.predictions:
            of_kind = values.setdefault(one.kind, defaultdict(list))
            for name, each in one.scores.items():
                values[ALL][name].extend(each)
                of_kind[name].extend(each)
        return values

    def _totals(self, name: str) -> Totals:
        """Return a metric's sums and counts by media and, if it is a mean over kinds, by kind."""
        media = _numbered(one.media for one in self.predictions)
        kinds = _numbered(one.kind for one in self.predictions)
        if name not in self.benchmark.macro:
            kinds = dict.fromkeys(kinds, 0)
        shape = (len(media), max(kinds.values()) + 1)
        sums, counts = np.zeros(shape), np.zeros(shape)
        for one in self.predictions:
            place = media[one.media], kinds[one.kind]
            values = one.scores.get(name, ())
            sums[place] += sum(values)
            counts[place] += len(values)
        return Totals(sums=sums, counts=counts)

    def _curves(self) -> dict[str, dict[str, Any]]:
        found: dict[str, list[Sequence[float]]] = defaultdict(list)
        for one in self.predictions:
            for name, heights in one.curves.items():
                found[name].append(heights)
        drawn = {name: self._curve(name, heights) for name, heights in found.items()}
        for name, curve in self.benchmark.curves.items():
            having = [one.scores.get(curve.above) for one in self.predictions]
            if rows := [np.array(values) for values in having if values]:
                shares = (np.concatenate(rows)[:, None] > np.array(curve.x)).mean(axis=0)
                drawn[name] = _drawn(curve, shares, len(rows))
        return dict(sorted(drawn.items()))

    def _curve(self, name: str, heights: Collection[Sequence[float]]) -> dict[str, Any]:
        curve = self.benchmark.curves.get(name)
        expected = 0 if curve is None else len(curve.x)
        lengths = {len(row) for row in heights}
        if curve is None or lengths != {expected}:
            raise PluginError(
                f"benchmark {self.benchmark.name}: curve {name!r} has {sorted(lengths)} heights, "
                f"expected {expected or 'no such curve'}; correct its `curves` or its scores"
            )
        return _drawn(curve, np.mean([list(row) for row in heights], axis=0), len(heights))

    def _notes(self) -> Iterator[str]:
        lacking = Counter(one.reason for one in self.predictions if one.status == "no head")
        for reason, number in sorted(lacking.items()):
            yield f"{reason}: {number} questions that need it were not asked and count as missing"
        if self.quarantined:
            yield (
                f"{len(self.quarantined)} of {self.media} records cannot be used and are in no "
                f"figure; the first: {self.quarantined[0]}"
            )
        failed = [one for one in self.predictions if one.status == "failed"]
        if failed:
            number, reason = len(failed), failed[0].reason
            yield f"{number} answers failed and count as missing; the first: {reason}"
        headline = self.benchmark.metrics[0]
        asked = [one.scores[headline] for one in self.predictions if headline in one.scores]
        if left_out := sum(not values for values in asked):
            yield (
                f"{left_out} of {len(asked)} questions are left out of {headline} by the official "
                "rule; a strict variant (--strict) counts them"
            )


def _drawn(curve: Curve, heights: Floats, questions: int) -> dict[str, Any]:
    """Return a curve as plain JSON values."""
    return {
        "x": list(curve.x),
        "y": [_rounded(height) for height in heights],
        "x_label": curve.x_label,
        "y_label": curve.y_label,
        "questions": questions,
    }


def nothing_usable(folder: Path, bad: Sequence[BadSample]) -> str:
    """Say why a folder of data gives no figure."""
    if bad:
        return (
            f"none of the {len(bad)} records in {folder} can be used; the first: {bad[0]}; run "
            "`tpo inspect` on the data"
        )
    return f"{folder} holds no question; check that it is the benchmark's data, and not empty"


def _numbered(names: Iterable[str]) -> dict[str, int]:
    """Number names in the order in which they first come."""
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _figure(totals: Totals) -> float:
    """Return the mean over columns of the means of columns that have a value."""
    sums, counts = totals.sums.sum(axis=0), totals.counts.sum(axis=0)
    return _rounded((sums[counts > 0] / counts[counts > 0]).mean())


def _mean(values: Floats | Sequence[float]) -> dict[str, float]:
    return {"mean": _rounded(sum(values) / len(values)), "count": len(values)}


def _rounded(value: float) -> float:
    """Drop the last digits, in which the order of a sum shows."""
    return round(float(value), 6)
