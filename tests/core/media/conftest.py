"""Real video files, written by PyAV; frame i is a flat picture of grey level 10 * i."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

MakeVideo = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    def make(
        name: str = "clip.mp4",
        *,
        frames: int = 16,
        size: tuple[int, int] = (48, 64),
        fps: int = 4,
        times: Sequence[float] | None = None,
        format: str | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", format=format, options=options or {}) as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "10", "g": "4"})
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            container.start_encoding()
            for index in range(frames):
                picture = np.full((*size, 3), 10 * index, np.uint8)
                picture[: size[0] // 4] = 250  # a bright bar marks the top
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(times[index] * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make
