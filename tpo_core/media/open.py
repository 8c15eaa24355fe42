"""Make a media item of whatever a user has: a path, a picture, frames."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core.errors import MediaError
from tpo_core.media.frames_folder import ASSUMED_NOTE, decode_frames_folder, frame_rate
from tpo_core.media.image import IMAGE_SUFFIXES, decode_image, image_media
from tpo_core.media.sampling import FrameChooser, choose_frames
from tpo_core.media.types import Media, MediaKind
from tpo_core.media.video import decode_video

if TYPE_CHECKING:
    from torch import Tensor

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".gif", ".h264"}
)
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


def open_media(
    source: Any,
    *,
    num_frames: int | None,
    kind: MediaKind | None = None,
    fps: float | None = None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
    choose: FrameChooser = choose_frames,
) -> Media:
    """Decode or wrap a picture or a video.

    Args:
        source: A path of a file, or of a folder of frames (a video); a Pillow image; a uint8 RGB
            tensor or array `[T, 3, H, W]`, `[T, H, W, 3]` (a video) or `[H, W, 3]`, `[3, H, W]` (a
            picture); a list of Pillow images or of such pictures (a video's frames); or a `Media`,
            returned as it is.
        num_frames: How many frames of a video to look at; None for all.
        kind: What a path holds; guessed from its suffix, then its content, if None.
        fps: Frames a second of frames in memory or in a folder; 1 is assumed, and noted, if None.
            A video file has its own times.
        required: Frame numbers to look at in any case; see `choose_frames`.
        preferred: Frame numbers to prefer; see `choose_frames`.
        choose: Which frames to look at, as the backbone's `choose_frames` says; by default those
            uniform in time.

    Raises:
        MediaError: If the source is missing, corrupt, a URL, or of another type or shape.
        InputError: If `num_frames` is below 1.
    """
    if isinstance(source, Media):
        return source
    if isinstance(source, str | Path):
        refuse_url(str(source))
        if kind == "image" or (kind is None and _looks_like_image(Path(source))):
            return decode_image(source)
        if Path(source).is_dir():
            return decode_frames_folder(
                source,
                num_frames=num_frames,
                fps=fps,
                required=required,
                preferred=preferred,
                choose=choose,
            )
        return decode_video(
            source, num_frames=num_frames, required=required, preferred=preferred, choose=choose
        )
    frames, is_video = _frames_in_memory(source)
    if not is_video:
        return _image_from_tensor(frames)
    return _video_from_frames(
        frames,
        num_frames=num_frames,
        fps=fps,
        required=required,
        preferred=preferred,
        choose=choose,
    )


def refuse_url(path: str) -> None:
    """Raise MediaError if `path` is a URL: nothing is fetched while reading data."""
    if _URL.match(path):
        raise MediaError(f"{path} is a URL; download the file and give its path")


def _looks_like_image(path: Path) -> bool:
    from PIL import Image

    suffix = path.suffix.lower()
    if path.is_dir():
        return False
    if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        return suffix in IMAGE_SUFFIXES
    try:
        with Image.open(path):
            return True
    except (OSError, ValueError, SyntaxError):
        return False


def _frames_in_memory(source: Any) -> tuple[Tensor, bool]:
    """Return uint8 `[T, 3, H, W]` and whether it is a video."""
    import numpy as np
    import torch
    from PIL import Image

    if isinstance(source, Image.Image):
        frames = image_media(source).frames
        assert frames is not None
        return frames, False
    if isinstance(source, Sequence) and len(source):
        parts = [_frames_in_memory(item)[0] for item in source]
        shapes = {tuple(part.shape) for part in parts}
        if len(shapes) != 1 or next(iter(shapes))[0] != 1:
            raise MediaError(
                f"the frames of a list have shapes {sorted(shapes)}; expected one picture each, "
                "all of one size"
            )
        return torch.cat(parts), True
    if isinstance(source, np.ndarray):
        source = torch.from_numpy(source.copy())
    if not isinstance(source, torch.Tensor):
        raise MediaError(
            f"cannot read media from {type(source).__name__}; expected a path, a Pillow image, "
            "a uint8 tensor or array, or a list of frames"
        )
    shape = list(source.shape)
    if source.dtype != torch.uint8:
        raise MediaError(
            f"frames are {source.dtype} of shape {shape}; expected uint8 in 0..255 (convert with "
            "(x * 255).round().to(torch.uint8) if they are in 0..1)"
        )
    is_video = source.ndim == 4
    frames = source if is_video else source[None]
    if frames.ndim == 4 and frames.shape[1] != 3 and frames.shape[-1] == 3:
        frames = frames.permute(0, 3, 1, 2)
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
        raise MediaError(
            f"frames have shape {shape}; expected RGB [T, 3, H, W] for a video or [H, W, 3] for a "
            "picture, none of them empty"
        )
    return frames.cpu().contiguous(), is_video


def _image_from_tensor(frames: Tensor) -> Media:
    import torch

    height, width = frames.shape[-2:]
    return Media(
        kind="image",
        frames=frames,
        times=torch.zeros(1, dtype=torch.float64),
        indices=(0,),
        size=(height, width),
        duration=0.0,
        total_frames=1,
    )


def _video_from_frames(
    frames: Tensor,
    *,
    num_frames: int | None,
    fps: float | None,
    required: Collection[int],
    preferred: Collection[int],
    choose: FrameChooser,
) -> Media:
    import torch

    rate = frame_rate(fps)
    total = len(frames)
    starts = [number / rate for number in range(total)]
    chosen = choose(
        starts,
        duration=total / rate,
        num_frames=num_frames,
        required=required,
        preferred=preferred,
    )
    height, width = frames.shape[-2:]
    media = Media(
        kind="video",
        frames=frames[list(chosen)],
        times=torch.tensor([starts[index] for index in chosen], dtype=torch.float64),
        indices=chosen,
        size=(height, width),
        duration=total / rate,
        total_frames=total,
    )
    return media if fps else replace(media, notes=(ASSUMED_NOTE,))
