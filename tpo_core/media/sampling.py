"""Which frames of a video to look at: uniform in time, whatever the frame rate does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

from tpo_core.errors import InputError


def choose_frames(
    starts: Sequence[float],
    *,
    duration: float,
    num_frames: int | None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
) -> tuple[int, ...]:
    """Choose the frames on screen at the middles of `num_frames` equal intervals of the video.

    A video of variable frame rate may show one frame at several of those moments; it is chosen
    once, so fewer than `num_frames` can come back, never more.

    Args:
        starts: When each frame comes on screen, in seconds from the first, increasing.
        duration: Seconds of the whole video.
        num_frames: How many frames to look at; None, or at least as many as there are, for all.
        required: Frame numbers that take the place of their interval's choice, such as the frame a
            prompt's box is on.
        preferred: Frame numbers to prefer to others of the same interval, such as those with a mask
            label when not every frame has one.

    Returns:
        Frame numbers, increasing.

    Raises:
        InputError: If `num_frames` is below 1.
    """
    if num_frames is not None and num_frames < 1:
        raise InputError(f"num_frames is {num_frames}; expected at least 1, or None for all frames")
    total = len(starts)
    if num_frames is None or total <= num_frames:
        return tuple(range(total))
    step = duration / num_frames
    chosen = [
        max(bisect_right(starts, (interval + 0.5) * step) - 1, 0) for interval in range(num_frames)
    ]
    # Required last: it wins over preferred.
    for favourites in (preferred, required):
        candidates: dict[int, list[int]] = {}
        for index in sorted(favourites):
            if 0 <= index < total:
                interval = min(int(starts[index] / step), num_frames - 1)
                candidates.setdefault(interval, []).append(index)
        for interval, indices in candidates.items():
            if chosen[interval] not in indices:
                middle = (interval + 0.5) * step
                distances = [abs(starts[index] - middle) for index in indices]
                chosen[interval] = indices[distances.index(min(distances))]
    return tuple(sorted(set(chosen)))
