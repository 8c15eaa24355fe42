"""A random SAM2 of the golden data's sizes and made-up media, shared by the mask head's tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from tpo_core.head import HeadContext
from tpo_core.media.types import Media
from tpo_core.records.rle import encode
from tpo_core.records.schema import MaskTarget, RegionPrompt

GOLDEN = Path(__file__).parents[1] / "golden" / "tpo"


@cache
def golden() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and settings of upstream's mask head and SAM2 on a tiny build."""
    tensors = load_file(GOLDEN / "5_sam_A.safetensors")
    return tensors, json.loads((GOLDEN / "5_sam_A.json").read_text(encoding="utf-8"))


def write_golden_sam2(folder: Path) -> str:
    """Write the golden SAM2 as a folder the mask head loads (64 pixels, prompts of width 32)."""
    tensors, settings = golden()
    text = yaml.safe_dump({"model": settings["yaml"]})
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    weights = {
        name.removeprefix("sd.sam."): value
        for name, value in tensors.items()
        if name.startswith("sd.sam.")
    }
    save_file(weights, folder / "model.safetensors")
    return str(folder)


def video(frames: int, *, size: tuple[int, int] = (48, 64), seed: int = 0) -> Media:
    """A video of smooth random colours at 2 frames a second."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(frames, 3, 6, 6, generator=generator) * 255
    pixels = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return Media(
        kind="video",
        frames=pixels.to(torch.uint8),
        times=torch.arange(frames, dtype=torch.float64) / 2,
        indices=tuple(range(frames)),
        size=size,
        duration=frames / 2,
        total_frames=frames,
    )


def picture(size: tuple[int, int] = (30, 50)) -> Media:
    """An image."""
    return Media(
        kind="image",
        frames=torch.randint(256, (1, 3, *size), dtype=torch.uint8),
        times=torch.zeros(1, dtype=torch.float64),
        indices=(0,),
        size=size,
        duration=0.0,
        total_frames=1,
    )


def context_of(
    media: Sequence[Media],
    index: Sequence[int],
    prompts: Sequence[Sequence[RegionPrompt]] | None = None,
) -> HeadContext:
    """The context of slots about `media[index]`."""
    given = prompts if prompts is not None else [()] * len(index)
    return HeadContext(
        media=tuple(media),
        media_index=torch.tensor(index),
        prompts=tuple(tuple(boxes) for boxes in given),
    )


def block(
    size: tuple[int, int], rows: slice = slice(5, 20), columns: slice = slice(8, 30)
) -> Tensor:
    """A rectangle as a bool `[H, W]` mask."""
    mask = torch.zeros(size, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def target_of(media: Media, *, frame: int = 0, mask: Tensor | None = None) -> MaskTarget:
    """A rectangle's mask on one frame."""
    return MaskTarget(frames={frame: encode(block(media.size) if mask is None else mask)})
