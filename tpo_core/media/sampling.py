"""Which frames of a video to look at: uniform in time, whatever the frame rate does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from tpo_core.errors import InputError


class FrameChooser(Protocol):
    """Chooses frames of a video, as `choose_frames` does; a function that can be pickled."""

    def __call__(
        self,
        starts: Sequence[float],
        *,
        duration: float,
        num_frames: int | None,
        required: Collection[int] = (),
        preferred: Collection[int] = (),
    ) -> tuple[int, ...]:
        """See `choose_frames`."""
        ...


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
    total = len(starts)
    count = total if num_frames is None else checked(num_frames)
    if total <= count:
        return tuple(range(total))
    step = duration / count
    middles = [(interval + 0.5) * step for interval in range(count)]
    chosen = [max(bisect_right(starts, middle) - 1, 0) for middle in middles]
    return with_favourites(
        chosen,
        total=total,
        interval_of=lambda frame: min(int(starts[frame] / step), count - 1),
        distance=lambda frame, interval: abs(starts[frame] - middles[interval]),
        required=required,
        preferred=preferred,
    )


def checked(num_frames: int) -> int:
    """Return `num_frames`.

    Raises:
        InputError: If it is below 1.
    """
    if num_frames < 1:
        raise InputError(f"num_frames is {num_frames}; expected at least 1, or None for all frames")
    return num_frames


def with_favourites(
    chosen: Sequence[int],
    *,
    total: int,
    interval_of: Callable[[int], int],
    distance: Callable[[int, int], float],
    required: Collection[int],
    preferred: Collection[int],
) -> tuple[int, ...]:
    """Let favourite frames take the place of their interval's choice.

    Args:
        chosen: One frame for each interval.
        total: Frames of the video; numbers beyond are passed over.
        interval_of: Returns the interval a frame lies in.
        distance: Returns how far a frame is from the middle of an interval; of several favourites
            the nearest is taken.
        required: See `choose_frames`; they win over preferred ones.
        preferred: See `choose_frames`.

    Returns:
        Frame numbers, increasing.
    """
    kept = list(chosen)
    for favourites in (preferred, required):
        candidates: dict[int, list[int]] = {}
        for frame in sorted(favourites):
            if 0 <= frame < total:
                candidates.setdefault(interval_of(frame), []).append(frame)
        for interval, frames in candidates.items():
            if kept[interval] not in frames:
                distances = [distance(frame, interval) for frame in frames]
                kept[interval] = frames[distances.index(min(distances))]
    return tuple(sorted(set(kept)))
