"""Sizes of media whose dataset does not give them, read from the files' headers."""

from __future__ import annotations

from pathlib import Path

from tpo_core.errors import MediaError
from tpo_core.media.frames_folder import frame_files
from tpo_core.media.types import MediaKind
from tpo_core.media.video import decode_video

_ORIENTATION = 0x0112  # EXIF; from 5 on the picture lies on its side


def media_size(path: Path, kind: MediaKind) -> tuple[int, int]:
    """Return height and width in pixels of a picture, a video, or a video as a folder of frames.

    Args:
        path: The file or folder.
        kind: What it is.

    Raises:
        MediaError: If it is missing or cannot be read.
    """
    if kind == "image":
        return _picture_size(path)
    if path.is_dir():
        return _picture_size(frame_files(path)[0])
    return decode_video(path, num_frames=1).size


def _picture_size(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            lying = picture.getexif().get(_ORIENTATION, 1) >= 5
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the path") from error
    except Exception as error:  # Pillow's readers raise whatever they stumble over
        raise MediaError(f"{path} is no picture that can be read ({error}); replace it") from error
    return (width, height) if lying else (height, width)
