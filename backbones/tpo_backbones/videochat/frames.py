"""Which frames of a video the published model looks at; numbers of frames, not times, decide."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from tpo_core.errors import InputError
from tpo_core.media.sampling import checked, with_favourites


def middle_frames(total: int, count: int) -> list[int]:
    """Return the middles of `count` equal intervals; the last is repeated if frames are too few.

    Args:
        total: Frames of the video.
        count: How many to look at.

    Raises:
        InputError: If there are no frames.
    """
    if total < 1:
        raise InputError(f"a video of {total} frames has none to look at; expected at least one")
    edges = _edges(total, min(total, count))
    chosen = [(start + stop - 1) // 2 for start, stop in pairwise(edges)]
    return chosen + [chosen[-1]] * (count - len(chosen))


def choose_middle_frames(
    starts: Sequence[float],
    *,
    duration: float,
    num_frames: int | None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
) -> tuple[int, ...]:
    """Choose frames as `tpo_core.media.sampling.choose_frames` does, but by their numbers.

    The published model takes `middle_frames`, which can differ by one frame from those on screen at
    the middles, and by more where the frame rate varies.

    Args:
        starts: One for each frame; only how many there are is looked at.
        duration: Not looked at.
        num_frames: See `choose_frames`.
        required: See `choose_frames`.
        preferred: See `choose_frames`.

    Returns:
        Frame numbers, increasing.

    Raises:
        InputError: If `num_frames` is below 1.
    """
    total = len(starts)
    count = total if num_frames is None else checked(num_frames)
    if total <= count:
        return tuple(range(total))
    edges, middles = _edges(total, count), middle_frames(total, count)
    return with_favourites(
        middles,
        total=total,
        interval_of=lambda frame: bisect_right(edges, frame) - 1,
        distance=lambda frame, interval: abs(frame - middles[interval]),
        required=required,
        preferred=preferred,
    )


def _edges(total: int, count: int) -> list[int]:
    """Return where `count` intervals begin, and where the last one ends."""
    edges: list[int] = np.linspace(0, total, count + 1).astype(int).tolist()
    return edges
