"""Which frames of a video the published model looks at; numbers of frames, not times, decide."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tpo_core.errors import InputError
from tpo_core.media.sampling import IntervalChooser, Intervals


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


def _equal_counts(starts: Sequence[float], duration: float, count: int) -> Intervals:
    """Cut a video into parts of equally many frames, the middle ones chosen; times do not count."""
    total = len(starts)
    edges, middles = _edges(total, count), middle_frames(total, count)
    return Intervals(
        chosen=middles,
        holding=lambda frame: bisect_right(edges, frame) - 1,
        distance=lambda frame, interval: abs(frame - middles[interval]),
    )


choose_middle_frames = IntervalChooser(_equal_counts)
"""Chooses `middle_frames`, as the published model does.

They can differ by one frame from those on screen at the middles, which
`tpo_core.media.sampling.choose_frames` takes, and by more where the frame rate varies.
"""


def _edges(total: int, count: int) -> list[int]:
    """Return where `count` intervals begin, and where the last one ends."""
    edges: list[int] = np.linspace(0, total, count + 1).astype(int).tolist()
    return edges
