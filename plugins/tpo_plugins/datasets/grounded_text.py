"""Text with boxes inside, as All-Seeing-V2 tags it.

`<ref>a dog</ref><box>[[x1, y1, x2, y2]]</box>` names an object, or several by several boxes. Boxes
are whole numbers on a scale of 0 to 999, of the picture or of the picture padded to a square.
`<pred>on</pred><box>[[...]]</box><box>[[...]]</box>` tags a relation with its subject and object.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tpo_core.errors import InputError
from tpo_core.records.markers import find_markers
from tpo_plugins.datasets.boxes import Box, Size, from_xyxy

SCALE = 999

_BOXES = re.compile(r"\s*<box>(.*?)</box>", re.DOTALL)
_TAGS = re.compile(r"</?(?:ref|pred|box)>")
_MARK = " <region>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounded:
    """A text whose boxes are marked with `<region>`.

    Args:
        text: The text without tags.
        boxes: The boxes in the order of their marks, normalised to the picture.
        lost: How many boxes have no area inside the picture; they have no mark.
        cut: How many of the boxes reached past the picture by more than a step of the scale.
    """

    text: str
    boxes: tuple[Box, ...]
    lost: int
    cut: int


def read_grounded(text: str, *, size: Size | None) -> Grounded:
    """Replace the tagged boxes of a text by marks.

    Args:
        text: As released.
        size: Of the picture where the boxes are of the picture padded to a square, which has it in
            its centre; None where they are of the picture itself.

    Raises:
        InputError: If a tag is not closed, its content is no list of boxes, or the text already
            holds a mark.
    """
    if taken := find_markers(text, tasks=("region", "temporal", "mask")):
        raise InputError(f"the text holds <{taken[0]}>, which marks a target in records")
    boxes: list[Box] = []
    lost = cut = 0

    def marks(match: re.Match[str]) -> str:
        nonlocal lost, cut
        found = ""
        for numbers in _parse(match[1]):
            box, leaves = _normalised(numbers, size)
            if box is None:
                lost += 1
            else:
                cut += leaves
                boxes.append(box)
                found += _MARK
        return found

    marked = _BOXES.sub(marks, text)
    if "<box>" in marked or "</box>" in marked:
        raise InputError("a <box> is not closed, or not opened")
    plain = _TAGS.sub("", marked).strip()
    return Grounded(text=plain, boxes=tuple(boxes), lost=lost, cut=cut)


def _parse(text: str) -> list[list[float]]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(box, list) and len(box) == 4 for box in found)
        or not all(isinstance(value, int | float) for box in found for value in box)
    ):
        raise InputError(f"<box> holds {text[:60]!r}; expected [[x1, y1, x2, y2], ...]")
    return found


def _normalised(numbers: list[float], size: Size | None) -> tuple[Box | None, bool]:
    """Return a box of the picture, and whether it reached past it by more than a step."""
    if size is None:
        return from_xyxy(numbers, (SCALE, SCALE)), min(numbers) < -1 or max(numbers) > SCALE + 1
    height, width = size
    side = max(size)
    left, top = (side - width) // 2, (side - height) // 2
    step = side / SCALE
    x1, y1, x2, y2 = (value * step for value in numbers)
    pixels = (x1 - left, y1 - top, x2 - left, y2 - top)
    leaves = (
        min(pixels[0], pixels[1]) < -step or pixels[2] > width + step or pixels[3] > height + step
    )
    return from_xyxy(pixels, size), leaves
