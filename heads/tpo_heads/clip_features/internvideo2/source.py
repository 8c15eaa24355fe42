"""Clip features and text features of InternVideo2-CLIP, computed from video files.

Shapes: Lv clips of a video, D width of a clip's feature, n tokens of a question, Dt their width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tpo_core.errors import InputError, MediaError, UnknownName
from tpo_core.media.types import FrameFeatures, Media
from tpo_heads.clip_features.internvideo2.clips import (
    CLIPS_PER_BATCH,
    FRAMES_PER_CLIP,
    in_groups,
)
from tpo_heads.clip_features.internvideo2.loading import load_text, load_vision
from tpo_heads.clip_features.internvideo2.lora import LoraMode
from tpo_heads.clip_features.internvideo2.preprocess import normalise, resize_frames
from tpo_heads.clip_features.internvideo2.reading import read_clips
from tpo_heads.clip_features.internvideo2.stamp import FileStamp
from tpo_heads.clip_features.internvideo2.text import TextSettings, TextTower
from tpo_heads.clip_features.internvideo2.tokenizer import Tokenizer
from tpo_heads.clip_features.internvideo2.vision import (
    VISION_PRESETS,
    VisionSettings,
    VisionTower,
)
from tpo_heads.clip_features.source import ClipFeatures, FeatureSource

TOKENIZER_FILE = (
    "tokenizer.model of the InternVL repository "
    "(clip_benchmark/.../internvl_c_pytorch/chinese_alpaca_lora_7b)"
)
_VIDEOS_KEPT = 64
_QUESTIONS_KEPT = 256
_TOKENIZERS_KEPT = 2
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class InternVideo2Source(FeatureSource):
    """Encodes each second of a video file and each question with InternVideo2-CLIP, as TPO does.

    The towers are loaded on first use, once in a process. The features of the last videos and
    questions are kept.

    Args:
        hidden_size: Width of the backbone's hidden states; not used.
        stage2: The released stage-2 file, with the vision tower.
        text: The released InternVL-C file, with the text tower; without it the task token's state
            alone stands for the question.
        tokenizer: InternVL-C's `tokenizer.model`, which goes with `text`.
        delta: The released delta file, `1B_clip.pth`; without it the features are not those TPO
            was trained on.
        vision: `"1B"`, `"6B"`, or fields of `VisionSettings` that differ from the 1B's.
        language: Fields of `TextSettings` that differ from InternVL-C's.
        stage2_frames: Frames that the stage-2 position table was trained with.
        gelu: `"exact"` as in TPO, or `"tanh"` as in the official fused MLP.
        lora: `"apply"` or `"ignore"` the text file's adapters.
        antialias: Filter when shrinking frames, see `resize_frames`.
        clip_length: Seconds that the eight frames of a clip span; 1 in TPO's app.
        clips_per_batch: Clips the vision tower encodes at once; only memory depends on it.
        dtype: What the towers compute in: `"auto"` is bfloat16 on a CUDA device, float32 elsewhere.

    Raises:
        InputError: If an option is unknown or out of range.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        stage2: str,
        text: str | None = None,
        tokenizer: str | None = None,
        delta: str | None = None,
        vision: str | Mapping[str, Any] = "1B",
        language: Mapping[str, Any] | None = None,
        stage2_frames: int = 4,
        gelu: Literal["exact", "tanh"] = "exact",
        lora: LoraMode = "apply",
        antialias: bool = True,
        clip_length: float = 1.0,
        clips_per_batch: int = CLIPS_PER_BATCH,
        dtype: str = "auto",
    ) -> None:
        sizes = replace(_vision_settings(vision), gelu=gelu)
        words = TextSettings(**(language or {}))
        if sizes.frames != FRAMES_PER_CLIP:
            raise InputError(
                f"InternVideo2 vision setting frames is {sizes.frames}; expected "
                f"{FRAMES_PER_CLIP}, the frames of a clip"
            )
        if lora not in ("apply", "ignore"):
            raise InputError(f"InternVideo2 option lora is {lora!r}; expected 'apply' or 'ignore'")
        if (text is None) != (tokenizer is None):
            raise InputError(
                f"InternVideo2 options are text={text!r}, tokenizer={tokenizer!r}; expected both, "
                "or none for clips without text"
            )
        if dtype != "auto" and dtype not in _DTYPES:
            raise InputError(
                f"InternVideo2 option dtype is {dtype!r}; expected auto, {', '.join(_DTYPES)}"
            )
        for name, value in (
            ("clip_length", clip_length),
            ("clips_per_batch", clips_per_batch),
            ("stage2_frames", stage2_frames),
        ):
            if value <= 0:
                raise InputError(f"InternVideo2 option {name} is {value}; expected more than 0")
        self.video_width = sizes.clip_dim
        self.text_width = None if text is None else words.width
        self.clip_length = float(clip_length)
        self._dtype, self._tokenizer = dtype, tokenizer
        self._load_vision = partial(
            load_vision, stage2, delta=delta, settings=sizes, stage2_frames=stage2_frames
        )
        self._load_text = partial(load_text, text or "", delta=delta, settings=words, lora=lora)
        self._encode = partial(
            _encode_video,
            clip_length=clip_length,
            antialias=antialias,
            clips_per_batch=clips_per_batch,
        )

    def clips(
        self,
        media: Media,
        question: str,
        *,
        frame_features: FrameFeatures | None,
        device: torch.device,
    ) -> ClipFeatures:
        """Encode a video file and a question; float32 on the CPU.

        Args:
            media: Names the file; its own frames are not looked at.
            question: The user's whole turn; "summarize:" goes before it.
            frame_features: Not looked at.
            device: Where the towers run.

        Raises:
            InputError: If the media item is no video file, or too short for a clip.
            CheckpointError: If a released file is missing, damaged, or holds other weights.
            MissingDependency: If sentencepiece is not installed.
        """
        if reason := _no_file(media):
            raise InputError(f"InternVideo2 cannot encode {media.source!r}: {reason}")
        video = self.video(media.source, device=device)
        if not len(video):
            reason = self._too_short(media)
            raise InputError(f"InternVideo2 cannot encode {media.source!r}: {reason}")
        return ClipFeatures(
            video=video,
            text=self.text(question, device=device),
            clip_length=self.clip_length,
            duration=media.duration,
        )

    def video(self, path: str | Path, *, device: torch.device) -> Tensor:
        """Encode the clips of a video file, float32 `[Lv, D]` on the CPU.

        Args:
            path: The file.
            device: Where the tower runs.

        Returns:
            No rows if the video is too short for a clip.

        Raises:
            MediaError: If the file is missing or no frame of it can be decoded.
            CheckpointError: As `clips`.
        """
        file = FileStamp.of(path, what="a video file", error=MediaError)
        tower = self._load_vision(dtype=_dtype(self._dtype, device), device=device)
        return self._encode(file, tower)

    def text(self, question: str, *, device: torch.device) -> Tensor:
        """Encode a question, float32 `[n, Dt]` on the CPU; `[0, 0]` without a text tower.

        Args:
            question: The user's whole turn; "summarize:" goes before it.
            device: Where the tower runs.

        Raises:
            CheckpointError: As `clips`.
            MissingDependency: If sentencepiece is not installed.
        """
        if self._tokenizer is None:
            return torch.empty(0, 0)
        tokenizer = _tokenizer(FileStamp.of(self._tokenizer, what=TOKENIZER_FILE))
        tower = self._load_text(dtype=_dtype(self._dtype, device), device=device)
        return _encode_question(question, tokenizer, tower)

    def skip_reason(self, media: Media) -> str | None:
        """Return why a media item has no clips: no video file, or shorter than 15/16 of a clip.

        At the very limit, where rounding decides, a video is skipped that may have one.
        """
        if reason := _no_file(media):
            return reason
        last_sample = (1 - 0.5 / FRAMES_PER_CLIP) * self.clip_length
        last_frame = media.duration * (1 - 0.5 / media.total_frames)
        return self._too_short(media) if last_sample >= last_frame - 1e-6 else None

    def _too_short(self, media: Media) -> str:
        return (
            f"a video of {media.duration:.3g} s and {media.total_frames} frames holds no whole "
            f"clip of {self.clip_length:g} s"
        )


def _no_file(media: Media) -> str:
    """Return why there is no video file to read, or an empty string."""
    if media.kind != "video":
        return "a picture has no clips; give a video"
    if media.source == "memory":
        return (
            f"its frames came in memory, too few to sample {FRAMES_PER_CLIP} a clip; write them to "
            "a file (tpo_core.media.write.write_video) and give its path"
        )
    return ""


def _vision_settings(vision: str | Mapping[str, Any]) -> VisionSettings:
    if not isinstance(vision, str):
        return VisionSettings(**vision)
    if vision not in VISION_PRESETS:
        raise UnknownName("InternVideo2 vision tower", vision, VISION_PRESETS)
    return VISION_PRESETS[vision]


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    return _DTYPES[name]


@lru_cache(maxsize=_VIDEOS_KEPT)
def _encode_video(
    file: FileStamp,
    tower: VisionTower,
    *,
    clip_length: float,
    antialias: bool,
    clips_per_batch: int,
) -> Tensor:
    """Encode the clips of a video file as `[Lv, D]`; Lv is 0 if it is too short for one."""
    size, device = tower.settings.image_size, tower.cls_token.device

    def resize(frame: Tensor) -> Tensor:
        return resize_frames(frame[None], size=size, antialias=antialias)[0]

    rows = [torch.zeros(0, tower.settings.clip_dim)]
    with torch.no_grad():
        for group in in_groups(
            read_clips(file.path, clip_length=clip_length, resize=resize), clips_per_batch
        ):
            frames = normalise(torch.stack(group).to(device))
            rows.append(tower(frames).float().cpu())
    return torch.cat(rows)


@lru_cache(maxsize=_QUESTIONS_KEPT)
def _encode_question(question: str, tokenizer: Tokenizer, tower: TextTower) -> Tensor:
    """Encode a question as `[n, Dt]`."""
    if tokenizer.size > tower.settings.vocabulary:
        raise InputError(
            f"the tokenizer has {tokenizer.size} ids and the text tower embeds "
            f"{tower.settings.vocabulary}; expected {TOKENIZER_FILE}"
        )
    device = tower.transformer.norm.weight.device
    with torch.no_grad():
        states: Tensor = tower(torch.tensor(tokenizer.encode(question), device=device))
    return states.float().cpu()


@lru_cache(maxsize=_TOKENIZERS_KEPT)
def _tokenizer(file: FileStamp) -> Tokenizer:
    return Tokenizer(file.path)
