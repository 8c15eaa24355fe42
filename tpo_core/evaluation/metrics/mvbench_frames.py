"""Which frames of a video MVBench shows to a model; its figures hold for these alone."""

from __future__ import annotations

from collections.abc import Sequence


def mvbench_frames(
    bound: Sequence[float] | None, *, fps: float, last: int, segments: int, first: int = 0
) -> list[int]:
    """Return which frames of a video MVBench looks at (`mvbench.ipynb`, `get_index`).

    The middle of each of equal parts, rounded half to even; a bound that is the wrong way round
    gives frames in reverse.

    Args:
        bound: (start, end) in seconds, for the tasks that have one; else the whole video.
        fps: Frames per second: of the video, or 3 for folders of frames.
        last: The highest frame index: number of frames - 1, or, for folders that count from 1, the
            number of frames.
        segments: How many frames are wanted.
        first: The lowest frame index, 1 for folders.
    """
    start, end = bound if bound else (-100000, 100000)
    low, high = max(first, round(start * fps)), min(round(end * fps), last)
    size = (high - low) / segments
    return [int(low + size / 2 + round(size * index)) for index in range(segments)]
