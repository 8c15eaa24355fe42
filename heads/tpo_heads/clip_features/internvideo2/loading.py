"""Loading both towers from the three files that InternVideo2-CLIP is released as.

| file | what is taken |
|---|---|
| stage 2, `InternVideo2-stage2_1b-224p-f4.pt` | `vision_encoder.*`, position table 4 -> 8 |
| text, `internvl_c_13b_224px.pth` | `transformer.*` with LoRA |
| delta, `1B_clip.pth` | overrides both: the attention pooling of the clip features |

A tower is built once for the same files and options in a process.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from tpo_core.errors import CheckpointError
from tpo_heads.clip_features.internvideo2.checkpoint import fit, read_tensors
from tpo_heads.clip_features.internvideo2.lora import LoraMode, merge_lora
from tpo_heads.clip_features.internvideo2.positions import resize_table
from tpo_heads.clip_features.internvideo2.stamp import FileStamp
from tpo_heads.clip_features.internvideo2.text import TextSettings, TextTower
from tpo_heads.clip_features.internvideo2.vision import VisionSettings, VisionTower

STAGE2_FILE = (
    "the stage-2 file InternVideo2-stage2_1b-224p-f4.pt "
    "(Hugging Face: OpenGVLab/InternVideo2-Stage2_1B-224p-f4; for 6B ...-Stage2_6B-224p-f4)"
)
TEXT_FILE = "the text file internvl_c_13b_224px.pth (Hugging Face: OpenGVLab/InternVL)"
DELTA_FILE = (
    "the delta file 1B_clip.pth "
    "(Hugging Face: OpenGVLab/InternVideo2-CLIP-1B-224p-f8; for 6B ...-CLIP-6B-224p-f8)"
)
_VISION, _TEXT = "vision_encoder.", "text_encoder."
_TRAINING_ONLY = ("clip_decoder", "clip_pos_embed", "img_pos_embed")  # also as parts of names
_LORA_ALPHA = 32.0
_TOWERS_KEPT = 2  # of each kind; a text tower takes 13 GB in bfloat16

_LOG = logging.getLogger(__name__)


def load_vision(
    stage2: str | Path,
    *,
    delta: str | Path | None,
    settings: VisionSettings,
    stage2_frames: int = 4,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> VisionTower:
    """Load the vision tower, frozen.

    Args:
        stage2: The stage-2 file.
        delta: The delta file; without it the clip features come from stage 2's own pooling, which
            is warned about.
        settings: Sizes.
        stage2_frames: Frames that the stage-2 position table was trained with.
        dtype: What the tower computes in.
        device: Where.

    Raises:
        CheckpointError: If a file is missing, damaged, or holds other weights.
        InputError: If the position table is no square grid at that many frames.
    """
    return _vision(
        FileStamp.of(stage2, what=STAGE2_FILE),
        None if delta is None else FileStamp.of(delta, what=DELTA_FILE),
        settings,
        stage2_frames,
        dtype,
        _numbered(device),
    )


def load_text(
    text: str | Path,
    *,
    delta: str | Path | None,
    settings: TextSettings,
    lora: LoraMode = "apply",
    lora_alpha: float = _LORA_ALPHA,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> TextTower:
    """Load the text tower, frozen, LoRA merged.

    Args:
        text: The text file.
        delta: The delta file; the released one changes nothing here.
        settings: Sizes.
        lora: `"apply"` or `"ignore"`, see `merge_lora`.
        lora_alpha: LoRA's alpha.
        dtype: What the tower computes in; the rotary angles are float32 in any case.
        device: Where.

    Raises:
        CheckpointError: If a file is missing, damaged, or holds other weights.
        InputError: If `lora` is unknown.
    """
    return _text(
        FileStamp.of(text, what=TEXT_FILE),
        None if delta is None else FileStamp.of(delta, what=DELTA_FILE),
        settings,
        lora,
        lora_alpha,
        dtype,
        _numbered(device),
    )


def _numbered(device: torch.device | str) -> torch.device:
    """Return the device with its number, so that `cuda` and `cuda:0` are one."""
    return torch.empty(0, device=device).device


@lru_cache(maxsize=_TOWERS_KEPT)
def _vision(
    stage2: FileStamp,
    delta: FileStamp | None,
    settings: VisionSettings,
    stage2_frames: int,
    dtype: torch.dtype,
    device: torch.device,
) -> VisionTower:
    weights = _strip(read_tensors(stage2.path, keep=_is_vision), _VISION)
    if not weights:
        raise CheckpointError(f"{stage2.path} holds no {_VISION}*; expected {STAGE2_FILE}")
    table = weights.get("pos_embed")
    if table is not None:
        weights["pos_embed"] = resize_table(
            table,
            old_steps=stage2_frames // settings.tubelet,
            steps=settings.steps,
            side=settings.side,
        )
    if delta is None:
        _LOG.warning(
            "InternVideo2 without a delta file: the clip features come from stage 2's pooling, not "
            "from the one trained for InternVideo2-CLIP; expected %s", DELTA_FILE,
        )  # fmt: skip
    else:
        changed = _strip(_read_delta(delta), _VISION)
        if not changed:
            raise CheckpointError(f"{delta.path} holds no {_VISION}*; expected {DELTA_FILE}")
        weights |= changed
    with torch.device("meta"):
        tower = VisionTower(settings)
    fit(tower, weights, source=_files(stage2, delta), dtype=dtype, device=device)
    return tower


@lru_cache(maxsize=_TOWERS_KEPT)
def _text(
    text: FileStamp,
    delta: FileStamp | None,
    settings: TextSettings,
    lora: LoraMode,
    lora_alpha: float,
    dtype: torch.dtype,
    device: torch.device,
) -> TextTower:
    weights = read_tensors(text.path, keep=_is_text)
    if not weights:
        raise CheckpointError(f"{text.path} holds no transformer.*; expected {TEXT_FILE}")
    if delta is not None:
        changed = _strip(_read_delta(delta), _TEXT)
        weights |= {name: value for name, value in changed.items() if _is_text(name)}
    merged = merge_lora(
        weights,
        layers=settings.layers,
        alpha=lora_alpha,
        mode=lora,
        dtype=dtype,
        source=text.path,
    )
    with torch.device("meta"):
        tower = TextTower(settings)
    fit(tower, merged, source=_files(text, delta), dtype=dtype, device=device)
    tower.restore_rotary()
    return tower


def _is_vision(name: str) -> bool:
    return name.startswith(_VISION) and not any(part in name for part in _TRAINING_ONLY)


def _is_text(name: str) -> bool:
    # Rotary frequencies are computed, not loaded: the delta's are rounded to bfloat16.
    return name.startswith("transformer.") and not name.endswith(".inv_freq")


def _read_delta(delta: FileStamp) -> dict[str, Tensor]:
    """Read a delta file; it may hold nothing but towers and the contrastive temperature."""
    weights = read_tensors(delta.path, keep=lambda name: name != "temp")
    foreign = [name for name in weights if not name.startswith((_VISION, _TEXT))]
    if foreign:
        raise CheckpointError(
            f"{delta.path} holds {len(foreign)} weights of neither tower, such as {foreign[0]}; "
            f"expected {DELTA_FILE}"
        )
    return weights


def _strip(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }


def _files(first: FileStamp, delta: FileStamp | None) -> str:
    return first.path if delta is None else f"{first.path} with {delta.path}"
