"""Writing the files that `tpo_heads.clip_features.files` reads, each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.files import whole_file
from tpo_heads.clip_features.files import CLIP_LENGTH, SUFFIXES

_ROWS = "features"


def is_written(folder: Path, stem: str) -> bool:
    """Tell whether a folder has the clip features of a video, in any format that is read."""
    return any((folder / f"{stem}{suffix}").is_file() for suffix in SUFFIXES)


def write_clips(folder: Path, stem: str, rows: Tensor, *, clip_length: float) -> None:
    """Write the clip features of a video.

    Args:
        folder: Of all clip features; made if missing.
        stem: The video's file name without its suffix.
        rows: `[Lv, C]`.
        clip_length: Seconds of a clip, which the file states.

    Raises:
        InputError: If it cannot be written.
    """
    path = folder / f"{stem}.safetensors"
    _write(path, {_ROWS: rows}, metadata={CLIP_LENGTH: repr(float(clip_length))})


def read_texts(folder: Path, stem: str) -> dict[str, Tensor]:
    """Return the text features of a video written so far, by question.

    Raises:
        InputError: If the file is broken.
    """
    path = folder / f"{stem}.safetensors"
    try:
        return load_file(path) if path.is_file() else {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it") from error


def write_texts(folder: Path, stem: str, rows: Mapping[str, Tensor]) -> None:
    """Write the text features of the questions about a video.

    Args:
        folder: Of all text features; made if missing.
        stem: The video's file name without its suffix.
        rows: `[Lt, Dt]` by question, the user's whole turn.

    Raises:
        InputError: If it cannot be written.
    """
    _write(folder / f"{stem}.safetensors", rows)


def _write(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    ready = {name: value.contiguous() for name, value in tensors.items()}
    try:
        with whole_file(path) as draft:
            save_file(ready, draft, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write {path}: {error}; free space or choose another folder"
        ) from error
