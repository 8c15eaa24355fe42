"""Writes pictures and videos whose bytes depend on their pixels alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tpo_plugins.world.attributes import FPS

# Bytes must be a function of the frames alone. x264's rate control and look-ahead broke that now
# and then, even on one thread; a constant quantiser and the zero-latency settings do without both.
_OPTIONS = {"qp": "12", "preset": "veryfast", "tune": "zerolatency", "threads": "1"}


def write_video(path: Path, frames: NDArray[np.uint8]) -> None:
    """Writes an H.264 mp4 (yuv420p) of FPS frames a second.

    Args:
        path: The file to write.
        frames: uint8 [T, 3, H, W] RGB.
    """
    import av

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for picture in frames:
            image = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture.transpose(1, 2, 0)), format="rgb24"
            )
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


def write_image(path: Path, frame: NDArray[np.uint8]) -> None:
    """Writes a PNG.

    Args:
        path: The file to write.
        frame: uint8 [3, H, W] RGB.
    """
    Image.fromarray(frame.transpose(1, 2, 0)).save(path, format="PNG", compress_level=3)
