"""Which frames of a video the published model looks at; numbers of frames, not times, decide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tpo_core.errors import InputError


def middle_frames(total: int, count: int) -> list[int]:
    """Return the middles of `count` equal intervals; the last is repeated if frames are too few.

    `tpo_core.media.sampling.choose_frames` does the same by presentation times; this goes by frame
    numbers as the published model does, which can differ by one frame.

    Args:
        total: Frames of the video.
        count: How many to look at.

    Raises:
        InputError: If there are no frames.
    """
    if total < 1:
        raise InputError(f"a video of {total} frames has none to look at; expected at least one")
    edges = np.linspace(0, total, min(total, count) + 1).astype(int).tolist()
    chosen = [(start + stop - 1) // 2 for start, stop in pairwise(edges)]
    return chosen + [chosen[-1]] * (count - len(chosen))
