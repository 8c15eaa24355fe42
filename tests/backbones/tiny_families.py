"""Tiny random models with offline processors, one for each family of transformers that is tested.

`build("llava_onevision", folder)` writes a checkpoint and loads it as users do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.backbones.tiny import gemma, llava, qwen, tiles

FAMILIES: dict[str, Callable[[], tuple[dict[str, Any], Any]]] = {
    **llava.FAMILIES,
    **qwen.FAMILIES,
    **tiles.FAMILIES,
    **gemma.FAMILIES,
}


def write(family: str, folder: str | Path, *, tied: bool = False, seed: int = 0) -> Path:
    """Write a tiny checkpoint of a family: random weights, config, processor."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    values, processor = FAMILIES[family]()
    if tied:
        values = {**values, "tie_word_embeddings": True}
        values["text_config"] = {**values["text_config"], "tie_word_embeddings": True}
    config = AutoConfig.for_model(**values)
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Wide enough for a leak between branches to show, small enough for fp32 to stay exact.
            if parameter.dim() > 1 or "bias" in name:
                parameter.normal_(0, 0.1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def build(family: str, folder: str | Path, *, tied: bool = False, seed: int = 0) -> Any:
    """Write a tiny checkpoint and load it as users do; return the adapter."""
    from tpo_backbones.generic.adapter import TransformersAdapter

    return TransformersAdapter.load(str(write(family, folder, tied=tied, seed=seed)))
