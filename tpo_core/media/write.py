"""Write pictures and H.264 videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def write_video(path: str | Path, frames: Tensor, *, fps: float, crf: int = 18) -> None:
    """Write frames as H.264 video; the container follows from the path's suffix.

    The same frames give the same bytes on any number of cores.

    Args:
        path: Where to; missing folders are made.
        frames: uint8 RGB `[T, 3, H, W]`, H and W even.
        fps: Frames a second.
        crf: x264's constant rate factor; lower is better, 18 is visually lossless.

    Raises:
        InputError: If the frames do not fit H.264 or the file cannot be written.
    """
    import av

    _check(frames, rank=4)
    height, width = frames.shape[-2:]
    if not len(frames) or height % 2 or width % 2:
        raise InputError(
            f"frames of shape {list(frames.shape)} cannot be written as H.264; expected at least "
            "one frame, of even height and width"
        )
    if not fps > 0:
        raise InputError(f"fps is {fps}; expected a positive number of frames a second")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            rate = Fraction(fps).limit_denominator(1001)
            # One thread: x264's output depends on how many there are.
            options = {"crf": str(crf), "threads": "1"}
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for picture in frames.permute(0, 2, 3, 1).contiguous().cpu().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {error}; check folder, space and suffix") from error


def write_image(path: str | Path, frame: Tensor) -> None:
    """Write one frame in the format that the path's suffix names.

    Args:
        path: Where to; missing folders are made.
        frame: uint8 RGB `[3, H, W]`.

    Raises:
        InputError: If the frame is of another type or the file cannot be written.
    """
    from PIL import Image

    _check(frame, rank=3)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame.permute(1, 2, 0).contiguous().cpu().numpy()).save(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {error}; check folder, space and suffix") from error


def _check(frames: Tensor, *, rank: int) -> None:
    import torch

    if frames.dtype != torch.uint8 or frames.ndim != rank or frames.shape[-3] != 3:
        shape = "[T, 3, H, W]" if rank == 4 else "[3, H, W]"
        raise InputError(
            f"got {frames.dtype} of shape {list(frames.shape)}; expected uint8 RGB {shape}"
        )
