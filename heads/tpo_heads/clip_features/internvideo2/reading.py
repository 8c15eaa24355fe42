"""Reading the clips of a video file in one pass, however long it is.

Shapes: S pixels a side of a resized frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tpo_core.media import video
from tpo_heads.clip_features.internvideo2.clips import (
    FRAMES_PER_CLIP,
    in_groups,
    sample_by_time,
    sample_indices,
    whole_clips,
)

_LOG = logging.getLogger(__name__)


def read_clips(
    path: str | Path, *, clip_length: float, resize: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Yield the clips of a video in order; no more than one is held.

    Args:
        path: The file.
        clip_length: Seconds of a clip.
        resize: Maps a frame uint8 `[3, H, W]` to uint8 `[3, S, S]`.

    Yields:
        uint8 `[8, 3, S, S]`. A clip that the file breaks off in is left out, with a warning.

    Raises:
        MediaError: If the file is missing or no frame of it can be decoded.
    """
    plan = _plan(path, rate=FRAMES_PER_CLIP / clip_length)
    read = 0
    for clip in in_groups(_frames(path, plan, resize=resize), FRAMES_PER_CLIP):
        if len(clip) == FRAMES_PER_CLIP:
            read += 1
            yield torch.stack(clip)
    planned = len(plan.chosen) // FRAMES_PER_CLIP
    if read < planned:
        _LOG.warning("%s is damaged: %d of its %d clips can be read", path, read, planned)


class _Plan(NamedTuple):
    """Which frames to take.

    Args:
        starts: When each frame comes on screen, in seconds from the first.
        chosen: Frame numbers, not decreasing, of whole clips.
        timed: Whether the decoded frames' time stamps tell which they are; else their count does.
    """

    starts: tuple[float, ...]
    chosen: list[int]
    timed: bool


def _plan(path: str | Path, *, rate: float) -> _Plan:
    packets = video._packet_times(path)
    timeline = packets or video._decode(path, keep=()).timeline
    container, stream = video._open(path)
    with container:
        # Without time stamps there is no average over them, only the rate the stream declares.
        declared = stream.average_rate if packets else stream.guessed_rate
    starts = timeline.starts
    fps = float(declared) if declared else len(starts) / timeline.duration
    if all(abs(start - number / fps) < 0.5 / fps for number, start in enumerate(starts)):
        indices = sample_indices(len(starts), fps=fps, rate=rate)
    else:
        indices = sample_by_time(starts, duration=timeline.duration, rate=rate)
    return _Plan(starts, whole_clips(indices), packets is not None)


def _frames(
    path: str | Path, plan: _Plan, *, resize: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Yield the chosen frames; in place of one that cannot be decoded the next that can."""
    container, stream = video._open(path)
    base, first = stream.time_base, None
    size: tuple[int, int] | None = None
    moments = [plan.starts[index] for index in plan.chosen]
    done = 0
    with container:
        for number, frame in enumerate(video._frames(container, stream, [])):
            if done == len(moments):
                return
            size = size or (frame.height, frame.width)
            if plan.timed and frame.pts is not None and base is not None:
                first = frame.pts if first is None else first
                start = float((frame.pts - first) * base)
            else:
                start = plan.starts[min(number, len(plan.starts) - 1)]
            if start < moments[done]:
                continue
            picture = resize(torch.from_numpy(video._upright(frame, size)).permute(2, 0, 1))
            while done < len(moments) and moments[done] <= start:
                yield picture
                done += 1
