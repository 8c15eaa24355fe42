"""Boxes, masks and moments over single frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core.errors import InputError
from tpo_core.media.types import Media
from tpo_core.records.schema import MaskTarget, RegionPrompt, RegionTarget, TemporalTarget
from tpo_core.results import (
    Box,
    BoxTrack,
    EncodedMaskTrack,
    MaskTrack,
    Moments,
    Result,
    Span,
)

if TYPE_CHECKING:
    from torch import Tensor

Marks = Sequence[tuple[str, Result]]
"""Results with what to call each, such as a task's name or "true"."""

_COLOURS = ("#e6194b", "#1f9bff", "#2fb344", "#f58231", "#a64dff", "#00b5ad", "#f032e6", "#b08900")
_PROMPT_COLOUR = "#ffffff"
_LEGIBLE_SIDE = 384


def draw_frames(media: Media, marks: Marks, *, prompts: Sequence[Any] = ()) -> Tensor:
    """Draw boxes and masks over every frame and frame those inside a moment in its colour.

    Small frames are enlarged by a whole factor so that labels are legible.

    Args:
        media: The media with frames.
        marks: What to draw, each in a colour of its own, with what to call it.
        prompts: Boxes the user gave, drawn in white on their frame.

    Returns:
        uint8 RGB `[T, 3, H, W]`.

    Raises:
        InputError: If the media came without frames.
    """
    import torch

    if media.frames is None:
        raise InputError("the media came without its frames; open it again to draw on it")
    drawn = [
        _draw_frame(media.frames[number], media, number, marks, prompts)
        for number in range(len(media.indices))
    ]
    return torch.stack(drawn)


def label_marks(targets: Sequence[Any]) -> list[tuple[str, Result]]:
    """Return targets of the core's tasks as results to draw; others cannot be drawn."""
    import torch

    from tpo_core.records.rle import decode

    marks: list[tuple[str, Result]] = []
    for target in targets:
        if isinstance(target, RegionTarget):
            marks.append(("region", Box(*target.box)))
        elif isinstance(target, TemporalTarget):
            spans = tuple(Span(start, end) for start, end in target.spans)
            saliency = target.saliency
            times = tuple(saliency.times) if saliency else ()
            scores = tuple(saliency.scores) if saliency else ()
            marks.append(
                ("temporal", Moments(spans, times=times, saliency=scores, count=len(spans)))
            )
        elif isinstance(target, MaskTarget) and not target.frames:
            boxes = {index: Box(*box) for index, box in target.boxes.items() if box is not None}
            marks.append(("mask", BoxTrack(boxes)))
        elif isinstance(target, MaskTarget):
            indices = tuple(sorted(target.frames))
            masks = torch.stack([decode(target.frames[index]) for index in indices])
            marks.append(("mask", MaskTrack(masks, indices, times=())))
    return marks


def colours_of(marks: Marks) -> list[str]:
    """Return the colour each of the marks is drawn in."""
    return [_COLOURS[number % len(_COLOURS)] for number in range(len(marks))]


def _draw_frame(
    frame: Tensor, media: Media, number: int, marks: Marks, prompts: Sequence[Any]
) -> Tensor:
    import torch
    from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

    from tpo_core.records.rle import decode

    scale = max(1, -(-_LEGIBLE_SIDE // max(media.size)))
    picture = _enlarge(frame, scale)
    size = picture.shape[-2], picture.shape[-1]
    boxes: list[tuple[float, ...]] = []
    labels: list[str] = []
    colours: list[str] = []
    masks: list[tuple[Tensor, str]] = []
    for (label, result), colour in zip(marks, colours_of(marks), strict=True):
        if isinstance(result, BoxTrack):
            result = result.boxes.get(media.indices[number], result)
        if isinstance(result, Box):
            boxes.append(_ordered(result.pixels(size)))
            labels.append(label)
            colours.append(colour)
        elif isinstance(result, MaskTrack) and media.indices[number] in result.indices:
            mask = result.masks[result.indices.index(media.indices[number])]
            masks.append((_enlarge(mask, scale).cpu(), colour))
        elif isinstance(result, EncodedMaskTrack) and media.indices[number] in result.frames:
            mask = decode(result.frames[media.indices[number]])
            masks.append((_enlarge(mask, scale), colour))
    for prompt in prompts:
        if isinstance(prompt, RegionPrompt) and prompt.frame == media.indices[number]:
            boxes.append(_ordered(Box(*prompt.box).pixels(size)))
            labels.append("given")
            colours.append(_PROMPT_COLOUR)
    side = max(size)
    if masks:
        stacked = torch.stack([mask for mask, _ in masks])
        paint = [colour for _, colour in masks]
        picture = draw_segmentation_masks(picture, stacked, alpha=0.5, colors=paint)
        picture = draw_segmentation_masks(
            picture, _outlines(stacked, side // 190), alpha=1.0, colors=paint
        )
    if boxes:
        picture = draw_bounding_boxes(
            picture, torch.tensor(boxes), colors=colours, width=max(2, side // 130)
        )
        picture = _labelled(picture, boxes, labels, colours)
    return _framed(picture, media, number, marks)


def _labelled(
    picture: Tensor,
    boxes: Sequence[tuple[float, ...]],
    labels: Sequence[str],
    colours: Sequence[str],
) -> Tensor:
    """Write each label outside its box, where it hides neither the object nor another label."""
    from PIL import ImageDraw, ImageFont
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    canvas = to_pil_image(picture)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.truetype(_font(), max(14, max(canvas.size) // 20))
    taken: list[tuple[float, float, float, float]] = []
    for (x1, y1, x2, y2), label, colour in zip(boxes, labels, colours, strict=True):
        _, _, right, bottom = pen.textbbox((0, 0), label, font=font)
        width, height = right + 6, bottom + 4
        corners = [(x1, y1 - height), (x1, y2), (x2 - width, y1 - height), (x2 - width, y2)]
        places = [
            (max(0.0, min(left, canvas.width - width)), min(top, canvas.height - height))
            for left, top in corners
            if top >= 0
        ]
        free = [
            (left, top)
            for left, top in places
            if not any(
                left < other[2]
                and other[0] < left + width
                and top < other[3]
                and other[1] < top + height
                for other in taken
            )
        ]
        left, top = (free or places or [(0.0, 0.0)])[0]
        taken.append((left, top, left + width, top + height))
        pen.rectangle(taken[-1], fill=colour)
        ink = "black" if colour == _PROMPT_COLOUR else "white"
        pen.text((left + 3, top + 1), label, fill=ink, font=font)
    labelled: Tensor = pil_to_tensor(canvas)
    return labelled


def _outlines(masks: Tensor, width: int) -> Tensor:
    """Return a band of at least one pixel just outside each mask of `[N, H, W]`."""
    from torch.nn.functional import max_pool2d

    reach = max(1, width)
    grown = max_pool2d(masks[:, None].float(), 2 * reach + 1, stride=1, padding=reach)[:, 0] > 0
    return grown & ~masks


def _framed(picture: Tensor, media: Media, number: int, marks: Marks) -> Tensor:
    """Paint the border of a frame that lies inside a moment."""
    from PIL import ImageColor

    time = float(media.times[number])
    for (_, result), colour in zip(marks, colours_of(marks), strict=True):
        if isinstance(result, Moments) and any(
            span.start <= time < span.end for span in result.spans[: result.count]
        ):
            border = max(4, max(picture.shape[-2:]) // 48)
            paint = picture.new_tensor(ImageColor.getrgb(colour)[:3])[:, None, None]
            framed = paint.expand_as(picture).clone()
            inside = (..., slice(border, -border), slice(border, -border))
            framed[inside] = picture[inside]
            return framed
    return picture


def _enlarge(picture: Tensor, factor: int) -> Tensor:
    return picture.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def _ordered(box: tuple[float, float, float, float]) -> tuple[float, ...]:
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _font() -> str:
    """Matplotlib brings a font, so that pictures look alike on every machine."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
