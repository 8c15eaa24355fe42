"""Clip features of N slots as one padded batch, with time columns and a timeline in seconds.

Shapes: N slots, Lv clips of the longest video, C width of a clip's row, Lt words, Dt their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_core.errors import InputError
from tpo_heads.clip_features.source import ClipFeatures
from tpo_heads.temporal.timeline import Timeline

SpanScale = Literal["clips", "duration"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipBatch:
    """Inputs of CG-DETR for N slots.

    Args:
        video: `[N, Lv, C + 2]`, the last two columns being where a clip starts and ends, in [0, 1].
        video_valid: `[N, Lv]` bool.
        text: `[N, Lt, Dt]`; Lt may be 0.
        text_valid: `[N, Lt]` bool.
        timeline: Turns clips into seconds.
        clip_length: `[N]` float32 seconds.
    """

    video: Tensor
    video_valid: Tensor
    text: Tensor
    text_valid: Tensor
    timeline: Timeline
    clip_length: Tensor


def batch_clips(
    items: Sequence[ClipFeatures],
    *,
    widths: tuple[int, int],
    normalize: bool,
    span_scale: SpanScale,
    like: Tensor,
) -> ClipBatch:
    """Pad the features of N slots.

    Args:
        items: One a slot.
        widths: C and Dt.
        normalize: Whether to scale each row of both kinds to length 1 first.
        span_scale: Whether clips cover their own length each (`"clips"`), or share the video's
            duration equally (`"duration"`).
        like: Gives device and dtype.

    Raises:
        InputError: If features have another shape than expected, or a video has no clip.
    """
    for item in items:
        _check(item, widths)
    videos, texts = [], []
    for item in items:
        video, text = (x.to(like.device, torch.float32) for x in (item.video, item.text))
        if normalize:
            video, text = unit_rows(video), unit_rows(text)
        start = torch.arange(len(video), device=like.device)[:, None] / len(video)
        videos.append(torch.cat([video, start, start + 1 / len(video)], dim=1))
        texts.append(text if len(text) else text.new_empty(0, widths[1]))
    lengths = torch.tensor([len(video) for video in videos])
    words = torch.tensor([len(text) for text in texts])
    clip_length = torch.tensor([item.clip_length for item in items], dtype=torch.float32)
    total = torch.tensor([item.duration for item in items], dtype=torch.float32)
    step = clip_length if span_scale == "clips" else total / lengths
    count, steps = int(lengths.max()), torch.arange(int(lengths.max()) + 1)
    edges = torch.minimum(steps, lengths[:, None]) * step[:, None]
    timeline = Timeline(
        edges=edges.to(like.device),
        times=((edges[:, 1:] + edges[:, :-1]) / 2).to(like.device),
        lengths=lengths.to(like.device),
    )
    return ClipBatch(
        video=_stack(videos, count).to(like.dtype),
        video_valid=timeline.valid,
        text=_stack(texts, int(words.max())).to(like.dtype),
        text_valid=(torch.arange(int(words.max())) < words[:, None]).to(like.device),
        timeline=timeline,
        clip_length=clip_length.to(like.device),
    )


def unit_rows(rows: Tensor) -> Tensor:
    """Scale rows `[..., C]` to length 1 as TPO's training data were, short ones to less."""
    length: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / (length + 1e-5)


def _stack(rows: Sequence[Tensor], count: int) -> Tensor:
    return torch.stack([F.pad(item, (0, 0, 0, count - len(item))) for item in rows])


def _check(item: ClipFeatures, widths: tuple[int, int]) -> None:
    for name, rows, least, width in (
        ("clip", item.video, 1, widths[0]),
        ("text", item.text, 0, widths[1]),
    ):
        if rows.ndim != 2 or len(rows) < least or (len(rows) and rows.shape[1] != width):
            raise InputError(
                f"{name} features have shape {list(rows.shape)}; expected at least {least} rows "
                f"of the head's width, {width}"
            )
    if not item.clip_length > 0 or not item.duration > 0:
        raise InputError(
            f"clips of {item.clip_length} s of a video of {item.duration} s; expected both above 0"
        )
