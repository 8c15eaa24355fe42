"""Precomputed clip features, one file a video, named after it.

    features/clip/v1.npy            [Lv, C], or .pt, or a .safetensors with one tensor
    features/text/v1.safetensors    for each question about v1.mp4 a tensor [Lt, Dt] of its name

Shapes: Lv clips, C width of a clip's row, Lt words, Dt their width.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.media.types import FrameFeatures, Media
from tpo_heads.clip_features.source import ClipFeatures, FeatureSource

SUFFIXES = (".npy", ".pt", ".safetensors")
TEXT_SUFFIXES = (".pt", ".safetensors")
CLIP_LENGTH = "clip_length"
"""Key of a safetensors file's metadata: seconds of a clip."""


class FileSource(FeatureSource):
    """Reads clip features that were computed before, by whatever model.

    Args:
        hidden_size: Not looked at.
        videos: Folder of the clip features.
        clip_length: Seconds of a clip; None if each file says so, as those that `tpo features
            extract` writes do.
        width: C.
        texts: Folder of the text features; without it the task token's state alone stands for the
            question.
        text_width: Dt.

    Raises:
        InputError: If a number is out of range.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        videos: str,
        clip_length: float | None = None,
        width: int = 768,
        texts: str | None = None,
        text_width: int = 4096,
    ) -> None:
        for name, value in (
            ("clip_length", clip_length), ("width", width), ("text_width", text_width),
        ):  # fmt: skip
            if value is not None and not value > 0:
                raise InputError(f"feature files' {name} is {value}; expected more than 0")
        self.videos, self.texts = Path(videos), Path(texts) if texts is not None else None
        self.clip_length = None if clip_length is None else float(clip_length)
        self.video_width = width
        self.text_width = text_width if texts is not None else None

    def clips(
        self,
        media: Media,
        question: str,
        *,
        frame_features: FrameFeatures | None,
        device: torch.device,
    ) -> ClipFeatures:
        """Read the features of one video and one question; see `FeatureSource.clips`."""
        path = _find(self.videos, media, SUFFIXES, "clip")
        video = _rows(_read(path), path, self.video_width)
        clip_length = self._clip_length(path)
        expected = media.duration / clip_length
        # A partial last clip may be missing or be there, and frame rates are seldom exact.
        if abs(len(video) - expected) > 1 + 0.01 * expected:
            raise InputError(
                f"{path} has {len(video)} clips of {clip_length:g} s, but its video lasts "
                f"{media.duration:.1f} s, which makes about {expected:.0f}; declare the clip "
                "length the features were computed with"
            )
        return ClipFeatures(
            video=video,
            text=self._text(media, question),
            clip_length=clip_length,
            duration=media.duration,
        )

    def skip_reason(self, media: Media) -> str | None:
        """Return why a video has no features, if no file of a kind is named after it."""
        try:
            _find(self.videos, media, SUFFIXES, "clip")
            if self.texts is not None:
                _find(self.texts, media, TEXT_SUFFIXES, "text")
        except InputError as error:
            return str(error)
        return None

    def _clip_length(self, path: Path) -> float:
        stated = stated_clip_length(path)
        declared = stated if self.clip_length is None else self.clip_length
        if declared is None:
            raise InputError(
                f"{path} does not say how long its clips are; declare clip_length for the folder"
            )
        if stated is not None and abs(declared - stated) > 0.01 * stated:
            raise InputError(
                f"{path} has clips of {stated:g} s where the head's option clip_length is "
                f"{declared:g}; expected the same, so extract the features again or change it"
            )
        return declared

    def _text(self, media: Media, question: str) -> Tensor:
        if self.texts is None or self.text_width is None:
            return torch.empty(0, self.text_width or 0)
        path = _find(self.texts, media, TEXT_SUFFIXES, "text")
        stored = _read(path)
        if not isinstance(stored, dict) or question not in stored:
            known = f"{len(stored)} other questions" if isinstance(stored, dict) else "one tensor"
            raise InputError(
                f"{path} holds {known}; expected a tensor named after the user's turn, {question!r}"
            )
        return _rows(stored[question], path, self.text_width)


def stated_clip_length(path: Path) -> float | None:
    """Return the seconds of a clip that a features file states; None if it states none.

    Raises:
        InputError: If the file cannot be read, or states no length above 0.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            stated = (file.metadata() or {}).get(CLIP_LENGTH)
        if stated is None:
            return None
        seconds = float(stated)
        if not 0 < seconds < math.inf:
            raise ValueError(f"its clips are said to last {stated} s")
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); extract the features again") from error
    return seconds


def _find(folder: Path, media: Media, suffixes: tuple[str, ...], kind: str) -> Path:
    if media.source == "memory":
        raise InputError(
            f"a video without a file was asked about, but its {kind} features are looked up in "
            f"{folder} by file name; give the path of the video"
        )
    stem = Path(media.source).stem
    found = [path for suffix in suffixes if (path := folder / f"{stem}{suffix}").is_file()]
    if len(found) != 1:
        what = f"both {found[0].name} and {found[1].name}" if found else "no file"
        raise InputError(
            f"{folder} has {what} for the {kind} features of {media.source}; expected one out of "
            + ", ".join(f"{stem}{suffix}" for suffix in suffixes)
        )
    return found[0]


def _read(path: Path) -> Any:
    """Return a tensor, or a mapping of tensors; never anything a file could run code for."""
    try:
        if path.suffix == ".npy":
            return torch.from_numpy(np.load(path, allow_pickle=False))
        if path.suffix == ".pt":
            return torch.load(path, map_location="cpu", weights_only=True)
        return load_file(path)
    except (OSError, ValueError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError,
            SafetensorError) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read ({reason}); write the features as a plain tensor again"
        ) from error


def _rows(stored: Any, path: Path, width: int) -> Tensor:
    if isinstance(stored, dict) and len(stored) == 1:
        (stored,) = stored.values()
    if not isinstance(stored, Tensor):
        what = f"{len(stored)} tensors" if isinstance(stored, dict) else type(stored).__name__
        raise InputError(f"{path} holds {what}; expected one tensor of shape [rows, {width}]")
    if stored.ndim != 2 or not len(stored) or stored.shape[1] != width:
        raise InputError(
            f"{path} has features of shape {list(stored.shape)}; expected [rows, {width}], or "
            "declare the width they were computed with"
        )
    rows = stored.float()
    if not rows.isfinite().all():
        raise InputError(f"{path} has values that are not finite; compute its features again")
    return rows
