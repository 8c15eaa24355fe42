"""Boxes as datasets release them, in pixels, as the normalised ones of a record."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpo_core.errors import InputError

Size = tuple[int, int]
"""Height and width in pixels."""

Box = list[float]
"""xyxy normalised to the image."""


def from_xyxy(box: Sequence[float], size: Size) -> Box | None:
    """Clip a box to the image and normalise it.

    Args:
        box: xyxy in pixels; corners may lie outside.
        size: The image's.

    Returns:
        The part inside the image, or None if there is none or the box is empty or reversed.

    Raises:
        InputError: If it is not four finite numbers.
    """
    if len(box) != 4 or not all(math.isfinite(value) for value in box):
        raise InputError(f"the box is {list(box)}; expected four finite numbers")
    height, width = size
    x1, x2 = (min(max(value / width, 0.0), 1.0) for value in (box[0], box[2]))
    y1, y2 = (min(max(value / height, 0.0), 1.0) for value in (box[1], box[3]))
    x1, y1, x2, y2 = (round(value, 6) for value in (x1, y1, x2, y2))
    return [x1, y1, x2, y2] if x1 < x2 and y1 < y2 else None


def from_xywh(box: Sequence[float], size: Size, *, origin: float = 0.0) -> Box | None:
    """Clip a box of corner, width and height to the image and normalise it; see `from_xyxy`.

    Args:
        box: xywh in pixels.
        size: The image's.
        origin: What the file calls the image's left and upper edge: 1 where it counts from 1, as
            MATLAB does.

    Raises:
        InputError: If it is not four finite numbers.
    """
    return from_xyxy(corners(box, origin=origin), size)


def corners(box: Sequence[float], *, origin: float = 0.0) -> Box:
    """Return xyxy in pixels of a box xywh in pixels; see `from_xywh`.

    Raises:
        InputError: If it is not four numbers.
    """
    if len(box) != 4:
        raise InputError(f"the box is {list(box)}; expected four finite numbers")
    left, top = box[0] - origin, box[1] - origin
    return [left, top, left + box[2], top + box[3]]


def leaves_image(box: Sequence[float], size: Size) -> bool:
    """Tell whether a box xyxy in pixels reaches past the image."""
    height, width = size
    return min(box[0], box[1]) < 0 or box[2] > width or box[3] > height
