"""From prompts to typed results: which slot prompts which frame of which video, and its masks.

Shapes: N slots, C width of SAM2's prompts, T frames of H x W pixels (of the original media).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tpo_core.errors import InputError
from tpo_core.head import HeadContext
from tpo_core.media.types import Media
from tpo_core.records.rle import encode
from tpo_core.records.schema import RegionPrompt
from tpo_core.results import EncodedMaskTrack, MaskTrack, Result
from tpo_heads.mask.decoder import decode_masks
from tpo_heads.mask.features import EncoderDtype, encode_images, iterate_features, prepare_frames
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.propagate import FrameMasks, Prompt, propagate

BoxPrompt = Literal["sam2", "token"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SlotPrompt:
    """How one slot prompts SAM2.

    Args:
        slot: Its number.
        frame: Which of the frames that are gone through it prompts.
        sparse: SAM2's sparse prompt embedding `[3, C]`.
        from_token: Whether that comes from the task token's state, not from a user's box.
    """

    slot: int
    frame: int
    sparse: Tensor
    from_token: bool


def track_slots(
    sam: Any,
    prompts: Tensor,
    context: HeadContext,
    *,
    box_prompt: BoxPrompt,
    decoder: nn.Module | None = None,
    encode_batch: int = 4,
    encoder_dtype: EncoderDtype = "float32",
) -> list[Result]:
    """Segment and follow the objects of N slots.

    Args:
        sam: A `SAM2Base` with its released weights, in evaluation mode.
        prompts: The prompts that the slots' states make, `[N, 3, C]`.
        context: The slots' media and their users' boxes.
        box_prompt: Who prompts SAM2 if the user gave a box, see `MaskHead`.
        decoder: A trained copy of SAM2's mask decoder for the frames that states prompt.
        encode_batch: How many frames go through the image encoder together.
        encoder_dtype: What the image encoder computes in.

    Returns:
        For each slot a `MaskTrack` on the sampled frames, or an `EncodedMaskTrack` where the media
        item has `every_frame`; all slots of an item share its image features.

    Raises:
        InputError: If a media item comes without frames.
        MediaError: If one of `every_frame` cannot be decoded.
    """
    by_media: dict[int, list[SlotPrompt]] = defaultdict(list)
    for prompt in slot_prompts(sam, prompts, context, box_prompt=box_prompt):
        by_media[int(context.media_index[prompt.slot])].append(prompt)
    results: dict[int, Result] = {}
    for item, asked in by_media.items():
        media = context.media[item]
        frames = frames_of(media) if media.every_frame is None else media.every_frame
        batched = _batch_by_frame(asked)
        made = [
            _as_prompt(sam, group, frames, decoder=decoder, dtype=encoder_dtype)
            for group in batched
        ]
        order = [prompt.slot for group in batched for prompt in group]
        features = iterate_features(sam, frames, batch=encode_batch, dtype=encoder_dtype)
        found = propagate(sam, features, prompts=made, num_frames=len(frames))
        collect = _masks if media.every_frame is None else _encoded_masks
        results |= zip(order, collect(found, media, objects=len(order)), strict=True)
    return [results[slot] for slot in range(len(prompts))]


def slot_prompts(
    sam: Any, prompts: Tensor, context: HeadContext, *, box_prompt: BoxPrompt
) -> list[SlotPrompt]:
    """Choose each slot's frame, and its state's prompt or SAM2's encoding of the user's box."""
    chosen: list[SlotPrompt] = []
    given = users_boxes(context, slots=len(prompts))
    for slot, (sparse, box) in enumerate(zip(prompts, given, strict=True)):
        media = context.media_of(slot)
        if box is None:
            first = 0 if media.every_frame is None else media.indices[0]
            chosen.append(SlotPrompt(slot=slot, frame=first, sparse=sparse, from_token=True))
            continue
        from_token = box_prompt == "token"
        if not from_token:
            sparse = box_embedding(sam, torch.tensor([box.box]))[0]
        frame = nearest_position(media, box.frame) if media.every_frame is None else box.frame
        chosen.append(SlotPrompt(slot=slot, frame=frame, sparse=sparse, from_token=from_token))
    return chosen


def users_boxes(context: HeadContext, *, slots: int) -> list[RegionPrompt | None]:
    """Return the box that the user gave for each slot; None where none was given.

    Where a user gave several boxes, the slots of that branch take them in turn.
    """
    turns: dict[tuple[int, int], int] = defaultdict(int)
    chosen: list[RegionPrompt | None] = []
    for slot in range(slots):
        given = context.prompts[slot] if context.prompts else ()
        boxes = [prompt for prompt in given if isinstance(prompt, RegionPrompt)]
        if not boxes:
            chosen.append(None)
            continue
        branch = (int(context.media_index[slot]), hash(tuple(boxes)))
        chosen.append(boxes[turns[branch] % len(boxes)])
        turns[branch] += 1
    return chosen


def nearest_position(media: Media, frame: int) -> int:
    """Return which sampled frame is nearest to frame number `frame` of the file."""
    return min(range(len(media.indices)), key=lambda place: abs(media.indices[place] - frame))


def frames_of(media: Media) -> Tensor:
    """Return the frames uint8 `[T, 3, H, W]`.

    Raises:
        InputError: If there are none.
    """
    if media.frames is None or len(media.frames) == 0:
        raise InputError(
            f"media {media.source!r} reached the mask head without frames; expected at least one"
        )
    return media.frames


def _masks(found: Iterable[FrameMasks], media: Media, *, objects: int) -> list[Result]:
    """Return the masks of each object on the frames that were looked at."""
    masks, scores = [], []
    for frame in found:
        masks.append(at_original_size(frame.logits, media.size).cpu())
        scores.append(frame.presence.tolist())
    return [
        MaskTrack(
            masks=torch.stack([mask[row] for mask in masks]),
            indices=media.indices,
            times=tuple(media.times.tolist()),
            scores=tuple(score[row] for score in scores),
        )
        for row in range(objects)
    ]


def _encoded_masks(found: Iterable[FrameMasks], media: Media, *, objects: int) -> list[Result]:
    """Return the masks of each object on every frame; none is held as pixels."""
    frames: list[dict[int, dict[str, Any]]] = [{} for _ in range(objects)]
    scores = []
    for number, frame in enumerate(found):
        masks = at_original_size(frame.logits, media.size).cpu()
        for row, mask in enumerate(masks):
            frames[row][number] = encode(mask)
        scores.append(frame.presence.tolist())
    return [
        EncodedMaskTrack(frames[row], scores=tuple(score[row] for score in scores))
        for row in range(objects)
    ]


def at_original_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize mask logits `[K, 1, h, w]` to `size` and threshold them at 0: bool `[K, H, W]`."""
    return functional.interpolate(logits, size=size, mode="bilinear")[:, 0] > 0


def _batch_by_frame(prompts: Sequence[SlotPrompt]) -> list[list[SlotPrompt]]:
    """Group prompts that SAM2 can take as one batch: same frame, same way of being decoded."""
    groups: dict[tuple[int, bool], list[SlotPrompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.frame, prompt.from_token].append(prompt)
    return list(groups.values())


def _as_prompt(
    sam: Any,
    group: Sequence[SlotPrompt],
    frames: Sequence[Tensor] | Tensor,
    *,
    decoder: nn.Module | None,
    dtype: EncoderDtype,
) -> Prompt:
    """Make one SAM2 prompt of a group; with a trained decoder, of the masks it gives."""
    frame = group[0].frame
    sparse = torch.stack([prompt.sparse for prompt in group])
    if decoder is None or not group[0].from_token:
        return Prompt(frame=frame, sparse=sparse)
    image = prepare_frames(frames[frame][None].to(sam.device), image_size=sam.image_size)
    features = encode_images(sam, image, dtype=dtype).take([0] * len(group))
    logits, presence = decode_masks(sam, decoder, features, sparse)
    size = (sam.image_size, sam.image_size)
    masks = at_original_size(logits[:, None], size) & (presence > 0)[:, None, None]
    return Prompt(frame=frame, sparse=sparse, masks=masks[:, None].float())
