"""Boundaries of masks, and which of their pixels lie near another mask's boundary.

Only what lies around an object is looked at, so the cost goes with the length of its boundary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


def boundary(mask: Mask) -> Mask:
    """Return the pixels that differ from their right, lower or lower-right neighbour.

    The last row compares with the right alone, the last column with the lower alone, the corner
    with none; a mask that fills the image has no boundary.

    Args:
        mask: bool `[H, W]`.
    """
    edges = np.zeros_like(mask)
    edges[:, :-1] = mask[:, :-1] ^ mask[:, 1:]
    edges[:-1] |= mask[:-1] ^ mask[1:]
    edges[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edges


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """The boundary of a mask and the pixels near it.

    Args:
        rows: `[N]`, of the boundary's pixels.
        columns: `[N]`, likewise.
        near: bool `[h, w]`, whether a pixel lies within the radius of the boundary.
        corner: Row and column in the image of the first pixel of `near`.
    """

    rows: Indices
    columns: Indices
    near: Mask
    corner: tuple[int, int]

    @classmethod
    def of(cls, mask: Mask, radius: float) -> Contour:
        """Find the boundary of a mask.

        Args:
            mask: bool `[H, W]`.
            radius: In pixels, Euclidean.
        """
        top, bottom, left, right = _surroundings(mask)
        rows, columns = np.nonzero(boundary(mask[top:bottom, left:right]))
        if not rows.size:
            return cls(rows, columns, np.zeros((0, 0), bool), (0, 0))
        near, (above, before) = _dilated(rows, columns, radius)
        return cls(rows + top, columns + left, near, (above + top, before + left))

    def __len__(self) -> int:
        return len(self.rows)

    def matched(self, other: Contour) -> int:
        """Return how many pixels of this boundary lie within the radius of the other."""
        if not len(self) or not len(other):
            return 0
        height, width = other.near.shape
        rows, columns = self.rows - other.corner[0], self.columns - other.corner[1]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return int(np.count_nonzero(other.near[rows[inside], columns[inside]]))


def _surroundings(mask: Mask) -> tuple[int, int, int, int]:
    """Return first and past-the-end row and column of a mask with a pixel around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return 0, 0, 0, 0
    height, width = mask.shape
    return (
        max(0, int(rows[0]) - 1),
        min(height, int(rows[-1]) + 2),
        max(0, int(columns[0]) - 1),
        min(width, int(columns[-1]) + 2),
    )


def _dilated(rows: Indices, columns: Indices, radius: float) -> tuple[Mask, tuple[int, int]]:
    """Return the pixels within `radius` of given ones, and where the first of them lies.

    Each pixel adds one run to every row of its disk; runs are marked by +1 where they start and -1
    behind their end, and summed up.
    """
    reach = math.floor(radius)
    above, before = int(rows.min()) - reach, int(columns.min()) - reach
    height = int(rows.max()) + reach - above + 1
    width = int(columns.max()) + reach - before + 1
    first = (rows - above) * (width + 1) + columns - before
    marks: NDArray[Any] = np.zeros(height * (width + 1), dtype=np.int32)
    for down in range(-reach, reach + 1):
        half = math.floor(math.sqrt(radius * radius - down * down))
        middle = first + down * (width + 1)
        # Pixels are distinct, so within one row of the disk no place is marked twice.
        marks[middle - half] += 1
        marks[middle + half + 1] -= 1
    covered = marks.reshape(height, width + 1).cumsum(1, dtype=np.int32)[:, :width] > 0
    return covered, (above, before)
