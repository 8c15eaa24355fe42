"""When each frame of a video file comes on screen, by the time stamps in it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.media.container import open_video

if TYPE_CHECKING:
    from fractions import Fraction

    from av.video.stream import VideoStream


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The times of a video's frames.

    Args:
        starts: When each frame comes on screen, in seconds from the first, increasing.
        duration: When the last one ends.
        rate: Frames a second as the file declares; their average where it does not.
        is_stamped: Whether packets carry time stamps, so that a decoded frame's own tells its
            number; else only counting does.
    """

    starts: tuple[float, ...]
    duration: float
    rate: float
    is_stamped: bool


def packet_timeline(path: str | Path) -> Timeline | None:
    """Read the timeline from the packets alone; None if they carry no time stamps.

    Raises:
        MediaError: If the file is missing or holds no video.
    """
    import av

    container, stream = open_video(path)
    stamps: list[int] = []
    last_length = 0
    with container:
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    return None
                if not stamps or packet.pts >= stamps[-1]:
                    last_length = packet.duration or 0
                stamps.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            pass  # the decoding pass meets the same place and tells what is lost
        if not stamps:
            return None
        return stamped(sorted(stamps), stream, last_length, rate=stream.average_rate, packets=True)


def stamped(
    stamps: Sequence[int],
    stream: VideoStream,
    last_length: int,
    *,
    rate: Fraction | None,
    packets: bool,
) -> Timeline:
    """Turn presentation stamps into seconds from the first.

    Args:
        stamps: In the stream's time base, increasing.
        stream: The stream.
        last_length: How long the last frame is shown, in the time base; 0 if unknown.
        rate: Frames a second that the stream declares.
        packets: Whether the stamps are the packets'.
    """
    base = stream.time_base
    assert base is not None
    starts = tuple(float((stamp - stamps[0]) * base) for stamp in stamps)
    length = float(last_length * base)
    if length <= 0:
        gaps = [after - before for before, after in pairwise(starts)]
        length = statistics.median(gaps) if gaps else frame_seconds(stream)
    duration = starts[-1] + length
    return Timeline(
        starts=starts,
        duration=duration,
        rate=float(rate) if rate else len(starts) / duration,
        is_stamped=packets,
    )


def frame_seconds(stream: VideoStream) -> float:
    """Return the nominal length of one frame; 1/25 s where the file does not say."""
    rate = stream.guessed_rate or stream.average_rate
    return float(1 / rate) if rate else 1 / 25
