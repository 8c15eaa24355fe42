"""Videos, through PyAV: frames chosen by presentation time and decoded in one pass.

The packets' time stamps are read first (no decoding, a small part of the cost), so that the frames
to keep are known before the one decoding pass and memory is bounded by them. Only where that plan
turns out wrong, in a damaged or unusual file, the frames that really came out are planned for anew.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError
from tpo_core.media.sampling import choose_frames
from tpo_core.media.types import Media

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class _Timeline:
    """When each frame comes on screen, seconds from the first, and when the last one ends."""

    starts: tuple[float, ...]
    duration: float


def decode_video(
    path: str | Path,
    *,
    num_frames: int | None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
) -> Media:
    """Decode frames of a video sampled uniformly in time.

    Args:
        path: A file in any format FFmpeg reads.
        num_frames: How many frames to look at, those on screen at the middles of as many equal
            intervals; None for all. A file with no more frames than this gives all of them.
        required: Frame numbers to look at in any case; see `choose_frames`.
        preferred: Frame numbers to prefer to others of the same interval; see `choose_frames`.

    Returns:
        Media of kind `"video"`, upright as the rotation in the file says; times count from the
        first frame. Damage that was left out is said in its notes.

    Raises:
        MediaError: If the file is missing, holds no video, or no frame of it can be decoded.
        InputError: If `num_frames` is below 1.
    """
    import torch

    def choose(timeline: _Timeline) -> tuple[int, ...]:
        return choose_frames(
            timeline.starts,
            duration=timeline.duration,
            num_frames=num_frames,
            required=required,
            preferred=preferred,
        )

    planned = _packet_times(path)
    chosen = choose(planned) if planned else ()
    decoded = _decode(path, keep=chosen)
    timeline = decoded.timeline
    if planned is None or timeline.starts != planned.starts:
        again = choose(timeline)
        if again != chosen:
            chosen, decoded = again, _decode(path, keep=again)
    notes = decoded.notes
    if planned and len(timeline.starts) < len(planned.starts):
        lost = len(planned.starts) - len(timeline.starts)
        notes += (f"{lost} of {len(planned.starts)} frames could not be decoded and are left out",)
    pictures = decoded.pictures
    frames = torch.stack(
        [torch.from_numpy(pictures[index]).permute(2, 0, 1) for index in chosen]
    ).contiguous()
    height, width = frames.shape[-2:]
    return Media(
        kind="video",
        frames=frames,
        times=torch.tensor([timeline.starts[index] for index in chosen], dtype=torch.float64),
        indices=chosen,
        size=(height, width),
        duration=timeline.duration,
        total_frames=len(timeline.starts),
        source=str(path),
        notes=notes,
    )


def _open(path: str | Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and find its first stream of moving pictures (a cover picture is none)."""
    import av
    from av.stream import Disposition

    try:
        container = av.open(str(path))
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise MediaError(f"{path} is a folder; expected a picture or a video file") from error
    except PermissionError as error:
        raise MediaError(f"{path} cannot be read; check its permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = "it is empty" if _is_empty(path) else f"FFmpeg says: {_words(error)}"
        raise MediaError(f"{path} is no video that can be read ({reason}); replace it") from error
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return container, stream
    kinds = sorted({stream.type for stream in container.streams})
    container.close()
    instead = f"only {', '.join(kinds)}" if kinds else "nothing at all"
    raise MediaError(
        f"{path} has no video stream but {instead}; expected a picture or a video with frames"
    )


def _packet_times(path: str | Path) -> _Timeline | None:
    """Read the timeline from the packets alone; None if they carry no time stamps."""
    import av

    container, stream = _open(path)
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
        return _timeline(sorted(stamps), stream, last_length) if stamps else None


def _timeline(stamps: list[int], stream: VideoStream, last_length: int) -> _Timeline:
    """Turn presentation stamps (in the stream's time base) into seconds from the first."""
    base = stream.time_base
    assert base is not None
    starts = tuple(float((stamp - stamps[0]) * base) for stamp in stamps)
    length = float(last_length * base)
    if length <= 0:
        gaps = [after - before for before, after in pairwise(starts)]
        length = statistics.median(gaps) if gaps else _frame_seconds(stream)
    return _Timeline(starts, starts[-1] + length)


def _frame_seconds(stream: VideoStream) -> float:
    """Return the nominal length of one frame; 1/25 s where the file does not say."""
    rate = stream.guessed_rate or stream.average_rate
    return float(1 / rate) if rate else 1 / 25


@dataclass(frozen=True, slots=True)
class _Decoded:
    pictures: dict[int, np.ndarray]
    timeline: _Timeline
    notes: tuple[str, ...]


def _decode(path: str | Path, *, keep: Collection[int]) -> _Decoded:
    """Decode the whole file once; keep the pictures of some frames and the stamps of all."""
    import av

    container, stream = _open(path)
    wanted = frozenset(keep)
    pictures: dict[int, np.ndarray] = {}
    stamps: list[int | None] = []
    notes: list[str] = []
    size: tuple[int, int] | None = None
    last_length = 0
    with container:
        for frame in _frames(container, stream, notes):
            if len(stamps) in wanted:
                # Frames of a stream that changes size midway are brought to the first one's.
                size = size or (frame.height, frame.width)
                try:
                    pictures[len(stamps)] = _upright(frame, size)
                except (av.error.FFmpegError, OSError, ValueError) as error:
                    raise MediaError(
                        f"{path} has frames of {frame.format.name} that cannot be converted to "
                        f"RGB ({_words(error)}); convert the file"
                    ) from error
            stamps.append(frame.pts)
            last_length = frame.duration or 0
        if not stamps:
            why = f" ({notes[0]})" if notes else ""
            raise MediaError(f"{path} has no frame that can be decoded{why}; replace the file")
        known = [stamp for stamp in stamps if stamp is not None]
        rising = all(before < after for before, after in pairwise(known))
        if len(known) == len(stamps) and rising:
            return _Decoded(pictures, _timeline(known, stream, last_length), tuple(notes))
        seconds = _frame_seconds(stream)
        notes.append(f"frames carry no usable times; {1 / seconds:g} frames a second assumed")
        starts = tuple(number * seconds for number in range(len(stamps)))
        return _Decoded(pictures, _Timeline(starts, len(stamps) * seconds), tuple(notes))


def _frames(
    container: InputContainer, stream: VideoStream, notes: list[str]
) -> Iterator[VideoFrame]:
    """Yield what can be decoded in presentation order; say in `notes` what can not."""
    import av

    damaged: list[str] = []
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.FFmpegError as error:
                damaged.append(_words(error))
    except (av.error.FFmpegError, OSError) as error:
        notes.append(f"the file breaks off: {_words(error)}")
    if damaged:
        notes.append(f"{len(damaged)} damaged packets were skipped: {damaged[0]}")


def _upright(frame: VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """Convert a frame to RGB `[H, W, 3]`, turned as its display matrix says."""
    import numpy as np

    # One thread: starting more costs several times the conversion of a small frame.
    picture = frame.to_ndarray(format="rgb24", height=size[0], width=size[1], threads=1)
    # FFmpeg's angle is counterclockwise, as numpy's is; angles other than quarter turns are not
    # used by cameras and stay.
    quarters = round(frame.rotation / 90) % 4 if frame.rotation % 90 == 0 else 0
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture


def _is_empty(path: str | Path) -> bool:
    return Path(path).is_file() and Path(path).stat().st_size == 0


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
