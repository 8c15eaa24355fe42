"""Questions about one object: for its box or its masks, told by a phrase or by a box."""

from __future__ import annotations

from collections.abc import Mapping

from tpo_core.errors import InputError
from tpo_core.records.schema import Branch
from tpo_plugins.datasets.boxes import Box
from tpo_plugins.datasets.masks import Mask, area, box_around
from tpo_plugins.datasets.templates import conversation, phrase

Target = dict[str, object]
"""A `MaskTarget` as it stands in a branch."""


def mask_target(masks: Mapping[int, Mask]) -> Target:
    """Return the target of checked masks by frame number, those where it is not visible included.

    Raises:
        InputError: If the object is visible in none of them.
    """
    if not any(area(mask) for mask in masks.values()):
        raise InputError(
            f"the object is visible in none of its {len(masks)} annotated frames; nothing can be "
            "asked for"
        )
    return {"task": "mask", "frames": {str(number): masks[number] for number in sorted(masks)}}


def box_target(boxes: Mapping[int, Box | None]) -> Target:
    """Return the target of boxes by frame number; None where the object is not visible.

    Raises:
        InputError: If the object is visible in none of them.
    """
    if not any(boxes.values()):
        raise InputError(
            f"the object is visible in none of its {len(boxes)} annotated frames; nothing can be "
            "asked for"
        )
    return {"task": "mask", "boxes": {str(number): boxes[number] for number in sorted(boxes)}}


def first_box(masks: Mapping[int, Mask]) -> tuple[int, Box]:
    """Return the first frame in which an object is visible, and the box around it there.

    Args:
        masks: Checked masks by frame number, not all of them empty.
    """
    number = min(number for number, mask in masks.items() if area(mask))
    box = box_around(masks[number])
    assert box is not None, "a mask that covers pixels has a box"
    return number, box


def ask_where(text: str, box: Box, *, name: str) -> Branch:
    """Return the conversation that asks for the box of the object that a phrase describes.

    Args:
        text: The phrase, as released.
        box: Where the object is in the picture.
        name: Names the branch; chooses the template.
    """
    return Branch(
        messages=conversation("region", name, query=phrase(text)),
        targets=[{"task": "region", "box": box}],
    )


def ask_by_phrase(text: str, target: Target, *, name: str) -> Branch:
    """Return the conversation that asks for the masks of the object that a phrase describes.

    Args:
        text: The phrase, as released.
        target: What is asked for.
        name: Names the branch; chooses the template.
    """
    return Branch(messages=conversation("segmentation", name, query=phrase(text)), targets=[target])


def ask_by_box(box: Box, frame: int, target: Target, *, name: str) -> Branch:
    """Return the conversation that asks to follow what a box shows.

    Args:
        box: Where the object is.
        frame: The frame number the box is on.
        target: What is asked for.
        name: Names the branch; chooses the template.
    """
    return Branch(
        messages=conversation("tracking", name),
        prompts=[{"task": "region", "box": box, "frame": frame}],
        targets=[target],
    )
