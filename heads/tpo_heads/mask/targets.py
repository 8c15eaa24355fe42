"""From annotated files to what the mask head trains on: one frame and its mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import masks_to_boxes

from tpo_core.media.types import Media
from tpo_core.records.rle import decode
from tpo_core.records.schema import MaskTarget


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PromptedFrame:
    """The frame SAM2 is prompted on in training, and the object's mask there.

    Args:
        position: Which of the sampled frames.
        mask: bool `[H, W]` at the original size.
        box: The box around the mask, xyxy normalised, `[4]` float32.
    """

    position: int
    mask: Tensor
    box: Tensor


def prompted_position(target: MaskTarget, media: Media) -> int | None:
    """Return which sampled frame is the first with an annotation, or None."""
    for position, index in enumerate(media.indices):
        if index in target.frames:
            return position
    return None


def prompted_frame(target: MaskTarget, media: Media) -> PromptedFrame:
    """Return the first annotated frame among the sampled ones; `skip_reason` must be None."""
    position = prompted_position(target, media)
    assert position is not None
    mask = decode(target.frames[media.indices[position]].model_dump())
    return PromptedFrame(position=position, mask=mask, box=mask_box(mask))


def skip_reason(target: MaskTarget, media: Media | None) -> str | None:
    """Return why a target cannot be trained on with this media, or None."""
    if media is None:
        return "a mask target without media"
    position = prompted_position(target, media)
    if position is None:
        return "no annotated frame among the sampled ones"
    rle = target.frames[media.indices[position]]
    if tuple(rle.size) != tuple(media.size):
        return f"mask of size {list(rle.size)} on media of size {list(media.size)}"
    if not decode(rle.model_dump()).any():
        return "the object is not visible in the first annotated frame"
    return None


def mask_box(mask: Tensor) -> Tensor:
    """Return the box around a bool `[H, W]` mask: outer pixel edges, xyxy normalised, `[4]`."""
    height, width = mask.shape
    x1, y1, x2, y2 = masks_to_boxes(mask[None])[0].tolist()  # inclusive pixel numbers
    return torch.tensor([x1 / width, y1 / height, (x2 + 1) / width, (y2 + 1) / height])


def resize_masks(masks: list[Tensor], *, size: int, device: torch.device) -> Tensor:
    """Resize bool `[H, W]` masks of any sizes to float32 `[N, size, size]` of zeros and ones."""
    resized = [
        functional.interpolate(
            mask[None, None].to(device, torch.float32),
            size=(size, size),
            mode="bilinear",
            antialias=True,
        )[0, 0]
        for mask in masks
    ]
    return (torch.stack(resized) >= 0.5).float()
