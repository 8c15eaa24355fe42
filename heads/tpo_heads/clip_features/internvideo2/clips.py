"""Which frames make up the clips of a video: eight a clip, on screen at equal steps.

Clip k covers `[k, k + 1) * clip_length` seconds; its frames are those at the middles of eight equal
parts of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

FRAMES_PER_CLIP = 8
CLIPS_PER_BATCH = 100

Item = TypeVar("Item")


def sample_indices(total: int, *, fps: float, rate: float = 8.0) -> list[int]:
    """Sample a video of constant frame rate, as upstream does.

    Sample j is nominally at (j + 0.5) / rate seconds; its frame is that time in frames, rounded
    half to even. Samples beyond the last frame are dropped.

    Args:
        total: Frames of the video.
        fps: Its frames a second.
        rate: Samples a second.

    Returns:
        Frame numbers, not decreasing.
    """
    most = int(total / fps * rate) + 1
    indices = [round((sample + 0.5) / rate * fps) for sample in range(most)]
    return [index for index in indices if index < total]


def sample_by_time(starts: Sequence[float], *, duration: float, rate: float = 8.0) -> list[int]:
    """Sample a video whose frame rate varies: the frame on screen at each nominal time.

    Args:
        starts: When each frame comes on screen, in seconds from the first, increasing.
        duration: Seconds of the whole video.
        rate: Samples a second.

    Returns:
        Frame numbers, not decreasing.
    """
    moments = ((sample + 0.5) / rate for sample in range(int(duration * rate) + 1))
    return [bisect_right(starts, moment) - 1 for moment in moments if moment < duration]


def whole_clips(indices: Sequence[int]) -> list[int]:
    """Drop the samples after the last whole clip."""
    return list(indices[: len(indices) // FRAMES_PER_CLIP * FRAMES_PER_CLIP])


def in_groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items, the last one maybe shorter."""
    left = iter(items)
    while group := list(islice(left, size)):
        yield group
