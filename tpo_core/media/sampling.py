"""Which frames of a video to look at: uniform in time, whatever the frame rate does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tpo_core.errors import InputError


class FrameChooser(Protocol):
    """Chooses frames of a video; it can be pickled."""

    def __call__(
        self,
        starts: Sequence[float],
        *,
        duration: float,
        num_frames: int | None,
        required: Collection[int] = (),
        preferred: Collection[int] = (),
    ) -> tuple[int, ...]:
        """Choose frames.

        Args:
            starts: When each frame comes on screen, in seconds from the first, increasing.
            duration: Seconds of the whole video.
            num_frames: How many frames to look at; None, or at least as many as there are, for all.
            required: Frame numbers that take the place of their interval's choice, such as the
                frame a prompt's box is on.
            preferred: Frame numbers to prefer to others of the same interval, such as those with a
                mask label when not every frame has one.

        Returns:
            Frame numbers, increasing; at most `num_frames`.

        Raises:
            InputError: If `num_frames` is below 1.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervals:
    """A video cut into intervals, of each of which one frame is looked at.

    Args:
        chosen: The frame of each interval.
        holding: Returns the interval that a frame lies in.
        distance: Returns how far a frame is from the middle of an interval.
    """

    chosen: Sequence[int]
    holding: Callable[[int], int]
    distance: Callable[[int, int], float]


@dataclass(frozen=True, slots=True)
class IntervalChooser:
    """Chooses a frame of each of `num_frames` intervals, as a `FrameChooser`.

    Args:
        cut: Cuts a video of more frames into intervals, given `starts`, `duration` and how many; a
            function of a module, so that it can be pickled.
    """

    cut: Callable[[Sequence[float], float, int], Intervals]

    def __call__(
        self,
        starts: Sequence[float],
        *,
        duration: float,
        num_frames: int | None,
        required: Collection[int] = (),
        preferred: Collection[int] = (),
    ) -> tuple[int, ...]:
        """Choose frames; see `FrameChooser`.

        Of several required or preferred frames in an interval the nearest to its middle is taken,
        and numbers beyond the video are passed over.
        """
        total = len(starts)
        if num_frames is not None and num_frames < 1:
            raise InputError(
                f"num_frames is {num_frames}; expected at least 1, or None for all frames"
            )
        if num_frames is None or total <= num_frames:
            return tuple(range(total))
        intervals = self.cut(starts, duration, num_frames)
        kept = list(intervals.chosen)
        for favourites in (preferred, required):
            candidates: dict[int, list[int]] = {}
            for frame in sorted(favourites):
                if 0 <= frame < total:
                    candidates.setdefault(intervals.holding(frame), []).append(frame)
            for interval, frames in candidates.items():
                if kept[interval] not in frames:
                    distances = [intervals.distance(frame, interval) for frame in frames]
                    kept[interval] = frames[distances.index(min(distances))]
        return tuple(sorted(set(kept)))


def _equal_times(starts: Sequence[float], duration: float, count: int) -> Intervals:
    """Cut a video into parts of equal length, the frames on screen at their middles chosen."""
    step = duration / count
    middles = [(interval + 0.5) * step for interval in range(count)]
    return Intervals(
        chosen=[max(bisect_right(starts, middle) - 1, 0) for middle in middles],
        holding=lambda frame: min(int(starts[frame] / step), count - 1),
        distance=lambda frame, interval: abs(starts[frame] - middles[interval]),
    )


choose_frames = IntervalChooser(_equal_times)
"""Chooses the frames on screen at the middles of equal intervals of the video.

A video of variable frame rate may show one frame at several of those moments; it is chosen once.
"""
