"""Fit targets and prompts to the media they are about, once its length and size are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from pydantic import BaseModel

from tpo_core.errors import RecordError
from tpo_core.media.types import Media
from tpo_core.records.schema import MaskTarget, RegionPrompt, Saliency, TemporalTarget

MAX_OVERSHOOT = 2.0
"""Seconds that a label may reach past the end of its video and still be clipped."""

_ROUNDING = 1e-3
"""Seconds within which an overshoot is rounding, clipped without a note."""

Fitted = tuple[BaseModel, tuple[str, ...]]


def fit_to_media(
    items: Sequence[BaseModel], media: Media, *, field: str = ""
) -> tuple[tuple[BaseModel, ...], tuple[str, ...]]:
    """Clip what reaches a little past the end of the media and refuse what does not fit it.

    Args:
        items: Targets or prompts, typed. A task of a plugin takes part by registering its model
            with `fit_item.register`.
        media: The decoded media.
        field: Where the items stand in the record, dotted.

    Returns:
        The items, some replaced by clipped ones, and a note for each that was clipped.

    Raises:
        RecordError: If an item does not belong to this media: a span that reaches more than
            `MAX_OVERSHOOT` seconds past the end, a frame the file does not have, a mask of another
            size, moments in a picture.
    """
    fitted: list[BaseModel] = []
    notes: list[str] = []
    for number, item in enumerate(items):
        place = f"{field}.{number}" if field else str(number)
        try:
            kept, said = fit_item(item, media)
        except RecordError as error:
            inner = f"{place}.{error.field}" if error.field else place
            raise RecordError(error.reason, field=inner) from error
        fitted.append(kept)
        notes.extend(f"{place}: {note}" for note in said)
    return tuple(fitted), tuple(notes)


@singledispatch
def fit_item(item: BaseModel, media: Media) -> Fitted:
    """Fit one target or prompt to its media; models that are not registered fit as they are.

    Returns:
        The item, or a clipped one, and what was changed.

    Raises:
        RecordError: If the item does not belong to this media.
    """
    return item, ()


@fit_item.register
def _temporal(item: TemporalTarget, media: Media) -> Fitted:
    if media.kind != "video":
        raise RecordError("a picture has no moments; expected a video")
    end = media.duration
    spans: list[tuple[float, float]] = []
    notes: list[str] = []
    for number, (start, stop) in enumerate(item.spans):
        if stop - end > MAX_OVERSHOOT or start >= end:
            raise RecordError(
                f"span [{start:g}, {stop:g}] reaches past the end of the video at {end:.2f} s; "
                f"expected at most {MAX_OVERSHOOT:g} s past it",
                field=f"spans.{number}",
            )
        if stop - end > _ROUNDING:
            notes.append(f"span [{start:g}, {stop:g}] clipped to the video's end at {end:.2f} s")
        spans.append((start, min(stop, end)))
    saliency = item.saliency
    if saliency is not None and max(saliency.times, default=0.0) > end:
        latest = max(saliency.times)
        if latest - end > MAX_OVERSHOOT:
            raise RecordError(
                f"saliency at {latest:g} s is past the end of the video at {end:.2f} s; "
                f"expected at most {MAX_OVERSHOOT:g} s past it",
                field="saliency.times",
            )
        saliency = Saliency(
            times=[min(time, end) for time in saliency.times], scores=saliency.scores
        )
        if latest - end > _ROUNDING:
            notes.append(f"saliency times clipped to the video's end at {end:.2f} s")
    return item.model_copy(update={"spans": spans, "saliency": saliency}), tuple(notes)


@fit_item.register
def _mask(item: MaskTarget, media: Media) -> Fitted:
    for index, rle in item.frames.items():
        _check_frame(index, media, field=f"frames.{index}")
        if tuple(rle.size) != media.size:
            raise RecordError(
                f"the mask is {rle.size[0]} x {rle.size[1]} (height x width) but the media is "
                f"{media.size[0]} x {media.size[1]}; expected masks at the size of the media",
                field=f"frames.{index}.size",
            )
    for index in item.boxes:
        _check_frame(index, media, field=f"boxes.{index}")
    return item, ()


@fit_item.register
def _region_prompt(item: RegionPrompt, media: Media) -> Fitted:
    _check_frame(item.frame, media, field="frame")
    return item, ()


def _check_frame(index: int, media: Media, *, field: str) -> None:
    if index >= media.total_frames:
        raise RecordError(
            f"frame {index} does not exist; the media has frames 0 to {media.total_frames - 1}",
            field=field,
        )
