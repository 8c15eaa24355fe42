"""Bootstrap intervals of figures: how far they would move with other media.

Media are drawn, not questions: questions about one media item share what the model saw and are
answered well or badly together, so drawing them one by one would give intervals that are too
narrow (a cluster bootstrap; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

Shapes: C media, K kinds of questions, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1000
LEVEL: Final = 0.95
METHOD: Final = (
    f"{LEVEL:.0%} percentile bootstrap over media, {RESAMPLES} resamples, seed 0; null where "
    "fewer than two media have a value"
)
_WEIGHTS_AT_ONCE: Final = 4_000_000
"""How many draws of media are held at a time; bounds memory whatever the number of media."""

Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Totals:
    """A metric's values, summed for each media item and kind.

    Args:
        sums: `[C, K]`.
        counts: `[C, K]`; how many values were summed.
    """

    sums: Floats
    counts: Floats


def bootstrap_intervals(totals: Mapping[str, Totals]) -> dict[str, Interval | None]:
    """Return the interval of each figure; the same every time.

    A figure is the mean over kinds of the means of kinds that have a value; with one column it is
    the plain mean. Every figure is taken from the same resamples.

    Args:
        totals: By metric, all over the same media.

    Returns:
        By metric: lower and upper end; None if fewer than two media have a value.
    """
    usable = {
        name: total
        for name, total in totals.items()
        if np.count_nonzero(total.counts.any(axis=1)) > 1
    }
    drawn: dict[str, list[Floats]] = {name: [] for name in usable}
    if usable:
        for weights in _resamples(len(next(iter(usable.values())).sums)):
            for name, total in usable.items():
                drawn[name].append(_figures(weights @ total.sums, weights @ total.counts))
    return {name: _ends(np.concatenate(drawn[name])) if name in drawn else None for name in totals}


def _resamples(media: int) -> Iterator[Floats]:
    """Yield how often each of C media is drawn in each resample, `[some of R, C]`."""
    chance = np.random.default_rng(0)
    at_once = max(1, _WEIGHTS_AT_ONCE // media)
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        chosen = chance.integers(media, size=(rows, media))
        chosen += np.arange(rows)[:, None] * media
        counted = np.bincount(chosen.ravel(), minlength=rows * media)
        yield counted.reshape(rows, media).astype(np.float64)


def _figures(sums: Floats, counts: Floats) -> Floats:
    """Return the figure of each resample from `[R, K]`; NaN for one without a value."""
    has = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=has)
    kinds = has.sum(axis=1)
    figures: Floats = np.full(len(sums), np.nan)
    np.divide(means.sum(axis=1), kinds, out=figures, where=kinds > 0)
    return figures


def _ends(figures: Floats) -> Interval:
    outside = (1 - LEVEL) / 2
    low, high = np.nanquantile(figures, (outside, 1 - outside))
    return round(float(low), 6), round(float(high), 6)
