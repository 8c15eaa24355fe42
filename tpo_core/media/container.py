"""Video files through PyAV: opened, and decoded frame by frame as far as they can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def open_video(path: str | Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and find its first stream of moving pictures (a cover picture is none).

    Args:
        path: A file in any format FFmpeg reads.

    Raises:
        MediaError: If the file is missing or holds no video.
    """
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


def decoded_frames(
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


def upright(frame: VideoFrame, size: tuple[int, int], *, path: str | Path) -> np.ndarray:
    """Convert a frame to RGB `[H, W, 3]`, turned as its display matrix says.

    Args:
        frame: A decoded frame.
        size: `(height, width)` to bring it to before it is turned.
        path: Its file, for the error.

    Raises:
        MediaError: If FFmpeg cannot convert its pixel format.
    """
    import av
    import numpy as np

    try:
        # One thread: starting more costs several times the conversion of a small frame.
        picture = frame.to_ndarray(format="rgb24", height=size[0], width=size[1], threads=1)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path} has frames of {frame.format.name} that cannot be converted to "
            f"RGB ({_words(error)}); convert the file"
        ) from error
    # FFmpeg's angle is counterclockwise, as numpy's is; angles other than quarter turns are not
    # used by cameras and stay.
    quarters = round(frame.rotation / 90) % 4 if frame.rotation % 90 == 0 else 0
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture


def _is_empty(path: str | Path) -> bool:
    return Path(path).is_file() and Path(path).stat().st_size == 0


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
