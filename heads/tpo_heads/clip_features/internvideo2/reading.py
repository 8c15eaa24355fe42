"""Reading the clips of a video file in one pass, however long it is.

Shapes: S pixels a side of a resized frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from tpo_core.media.stream import read_timeline, stream_frames
from tpo_core.media.timeline import Timeline
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
    timeline = read_timeline(path)
    chosen = whole_clips(_sampled(timeline, rate=FRAMES_PER_CLIP / clip_length))
    frames = _each_once(stream_frames(path, timeline, chosen), resize)
    read = 0
    for clip in in_groups(frames, FRAMES_PER_CLIP):
        if len(clip) == FRAMES_PER_CLIP:
            read += 1
            yield torch.stack(clip)
    planned = len(chosen) // FRAMES_PER_CLIP
    if read < planned:
        _LOG.warning("%s is damaged: %d of its %d clips can be read", path, read, planned)


def _sampled(timeline: Timeline, *, rate: float) -> list[int]:
    """Return the frames at `rate` samples a second: by number if the frame rate is constant."""
    starts, fps = timeline.starts, timeline.rate
    if all(abs(start - number / fps) < 0.5 / fps for number, start in enumerate(starts)):
        return sample_indices(len(starts), fps=fps, rate=rate)
    return sample_by_time(starts, duration=timeline.duration, rate=rate)


def _each_once(frames: Iterable[Tensor], resize: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Resize frames; one that comes several times in a row is resized once."""
    last: Tensor | None = None
    for frame in frames:
        if last is not frame:
            last, small = frame, resize(frame)
        yield small
