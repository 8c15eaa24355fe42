"""Videos kept as a folder of pictures, one a frame."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError
from tpo_core.media.image import IMAGE_SUFFIXES, decode_image
from tpo_core.media.sampling import FrameChooser, choose_frames
from tpo_core.media.types import Media

if TYPE_CHECKING:
    from torch import Tensor

ASSUMED_FPS = 1.0
"""Frames a second of frames that come without times."""

ASSUMED_NOTE = "no fps given with the frames; 1 frame a second assumed, so times count frames"

_DIGITS = re.compile(r"(\d+)")


def frame_files(folder: str | Path) -> list[Path]:
    """Return the pictures of a folder in the order of their names: frame i is the i-th.

    Numbers in names count as numbers, so that `frame_10.jpg` follows `frame_9.jpg`. Hidden files,
    folders and files of other types are no frames.

    Args:
        folder: Holds the pictures, directly.

    Raises:
        MediaError: If it is no folder, cannot be read, or holds no picture.
    """
    try:
        found = [
            path
            for path in Path(folder).iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        ]
    except FileNotFoundError as error:
        raise MediaError(f"{folder} does not exist; check the path") from error
    except OSError as error:
        raise MediaError(
            f"{folder} cannot be read ({error.strerror}); expected a folder of frames"
        ) from error
    if not found:
        raise MediaError(
            f"{folder} is a folder without pictures; expected a video's frames in it, such as "
            "00000.jpg"
        )
    return sorted(found, key=lambda path: frame_order(path.name))


def decode_frames_folder(
    folder: str | Path,
    *,
    num_frames: int | None,
    fps: float | None = None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
    choose: FrameChooser = choose_frames,
) -> Media:
    """Decode some frames of a video that is a folder of pictures.

    Args:
        folder: Holds one picture a frame; see `frame_files` for their order.
        num_frames: How many frames to look at; None for all.
        fps: Frames a second; 1 is assumed, and noted, if None.
        required: Frame numbers to look at in any case; see `choose_frames`.
        preferred: Frame numbers to prefer to others of the same interval; see `choose_frames`.
        choose: Which frames to look at; by default those uniform in time.

    Returns:
        Media of kind `"video"`; its indices are positions in the order of the names, frame i is on
        screen from i / fps to (i + 1) / fps seconds.

    Raises:
        MediaError: If the folder holds no picture, one of the chosen cannot be decoded or is of
            another size than the first of them, or `fps` is not positive.
        InputError: If `num_frames` is below 1.
    """
    import torch

    rate = frame_rate(fps)
    files = frame_files(folder)
    starts = [number / rate for number in range(len(files))]
    duration = len(files) / rate
    chosen = choose(
        starts, duration=duration, num_frames=num_frames, required=required, preferred=preferred
    )
    frames = _decode([files[index] for index in chosen])
    height, width = frames.shape[-2:]
    media = Media(
        kind="video",
        frames=frames,
        times=torch.tensor([starts[index] for index in chosen], dtype=torch.float64),
        indices=chosen,
        size=(height, width),
        duration=duration,
        total_frames=len(files),
        source=str(folder),
    )
    return media if fps else replace(media, notes=(ASSUMED_NOTE,))


def _decode(files: Sequence[Path]) -> Tensor:
    """Decode pictures of one size to uint8 `[T, 3, H, W]`."""
    import torch

    first = decode_image(files[0])
    stacked = torch.empty(len(files), 3, *first.size, dtype=torch.uint8)
    for place, file in enumerate(files):
        picture = decode_image(file) if place else first
        if picture.size != first.size:
            raise MediaError(
                f"{file} is {picture.size[0]} x {picture.size[1]} (height x width) but "
                f"{files[0].name} is {first.size[0]} x {first.size[1]}; expected frames of one size"
            )
        assert picture.frames is not None, "freshly decoded pictures have frames"
        stacked[place] = picture.frames[0]
    return stacked


def frame_rate(fps: float | None) -> float:
    """Return the frames a second to reckon with, the assumed ones if None.

    Raises:
        MediaError: If `fps` is not positive.
    """
    if fps is not None and not fps > 0:
        raise MediaError(f"fps is {fps}; expected a positive number of frames a second")
    return fps or ASSUMED_FPS


def frame_order(name: str) -> tuple[list[int | str], str]:
    """Return what the names of frames are sorted by: text and numbers in turn, then text alone."""
    parts = _DIGITS.split(name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name
