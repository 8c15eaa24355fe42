"""What tracking benchmarks share: boxes as arrays, and curves over thresholds.

Boxes are (left, top, width, height) in pixels.

Shapes: T frames, S sequences, K thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError

Floats = NDArray[np.float64]
BoxRows = Sequence[Sequence[float]] | NDArray[Any]


def as_boxes(rows: BoxRows, *, what: str) -> Floats:
    """Return boxes as `[T, 4]`.

    Args:
        rows: One box a frame.
        what: Names them in errors.

    Raises:
        InputError: If a row has not four numbers or there is none.
    """
    try:
        boxes = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        boxes = np.zeros(0)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
        raise InputError(
            f"{what} are no table of boxes; expected one row of x, y, width, height a frame"
        )
    return boxes


def overlaps(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return intersection and union in square pixels of boxes `[T, 4]` with continuous sides."""
    corner = np.maximum(a[:, :2], b[:, :2])
    sides = (np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - corner).clip(0)
    shared: Floats = sides.prod(1)
    return shared, a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared


def centres(boxes: Floats) -> Floats:
    """Return `[T, 2]`, the middle of each box; of its first and last pixel, as all toolkits do."""
    return boxes[:, :2] + (boxes[:, 2:] - 1) / 2


def count_above(values: Floats, thresholds: Floats) -> Floats:
    """Return `[K]`, how many values are greater than each threshold."""
    counts: Floats = (values[:, None] > thresholds).sum(0, dtype=np.float64)
    return counts


def count_within(values: Floats, thresholds: Floats) -> Floats:
    """Return `[K]`, how many values are not greater than each threshold."""
    counts: Floats = (values[:, None] <= thresholds).sum(0, dtype=np.float64)
    return counts
