"""Frames of a video file one after another, for what would not fit into memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.media.container import decoded_frames, open_video, upright
from tpo_core.media.timeline import Timeline, packet_timeline
from tpo_core.media.video import decode_pictures

if TYPE_CHECKING:
    from torch import Tensor


def read_timeline(path: str | Path) -> Timeline:
    """Return when each frame comes on screen; only a file without time stamps is decoded for it.

    Raises:
        MediaError: If the file is missing, holds no video, or no frame of it can be decoded.
    """
    return packet_timeline(path) or decode_pictures(path, keep=()).timeline


def stream_frames(path: str | Path, timeline: Timeline, numbers: Sequence[int]) -> Iterator[Tensor]:
    """Yield frames of a video in one decoding pass; no more than one is held.

    Args:
        path: The file.
        timeline: What `read_timeline` returned for it.
        numbers: Frame numbers, not decreasing; one that stands there twice comes twice, as the same
            object.

    Yields:
        uint8 RGB `[3, H, W]`, upright. In place of a frame that cannot be decoded comes the next
        that can; where the file breaks off, so does this.

    Raises:
        MediaError: If the file is missing or holds no video.
    """
    import torch

    container, stream = open_video(path)
    base, first = stream.time_base, None
    size: tuple[int, int] | None = None
    moments = [timeline.starts[number] for number in numbers]
    done = 0
    with container:
        for count, frame in enumerate(decoded_frames(container, stream, [])):
            if done == len(moments):
                return
            size = size or (frame.height, frame.width)
            if timeline.is_stamped and frame.pts is not None and base is not None:
                first = frame.pts if first is None else first
                start = float((frame.pts - first) * base)
            else:
                start = timeline.starts[min(count, len(timeline.starts) - 1)]
            if start < moments[done]:
                continue
            picture = torch.from_numpy(upright(frame, size, path=path)).permute(2, 0, 1)
            while done < len(moments) and moments[done] <= start:
                yield picture
                done += 1
