"""A tiny VideoChat-TPO checkpoint in the layout of the release: shards, an index, bfloat16."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.backbones.tiny import videochat
from tests.heads.mask_samples import golden
from tpo_core.lora import LoraSettings
from tpo_core.tokens import UPSTREAM_ORDER
from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.shards import INDEX
from tpo_plugins.convert.sizes import SIZES_FILE, Sizes, released_heads

SHARDS = 3
LEGACY = {"project_down.weight": (4, 6), "temporal_embed.layers.0.bias": (3,)}


def sizes() -> Sizes:
    heads = released_heads()
    heads["temporal_cgdetr"] = {
        "features": "backbone",
        "model": {"hidden_dim": 16, "dim_feedforward": 16, "num_queries": 3, "num_dummies": 2},
    }
    vocabulary = len(videochat.tokenizer()) + len(UPSTREAM_ORDER)
    return Sizes(
        backbone=videochat.config(vocabulary=vocabulary),
        heads=heads,
        lora=LoraSettings(rank=2, alpha=4, dropout=0.1),
        sam2=golden()[1]["yaml"],
    )


def tensors() -> dict[str, torch.Tensor]:
    """Random weights under the release's names, legacy parts among them."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in sorted((expected_shapes(sizes()) | LEGACY).items()):
        if name.endswith("position_ids"):
            made[name] = torch.arange(shape[-1]).expand(shape).contiguous()
        elif name == "cg_criterion.empty_weight":
            made[name] = torch.tensor([1.0, 0.1], dtype=torch.bfloat16)
        else:
            wide = 0.1 * torch.randn(shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            made[name] = (wide + float(norm)).to(torch.bfloat16)
    return made


def write(folder: Path, weights: dict[str, torch.Tensor] | None = None) -> Path:
    folder.mkdir(parents=True)
    weights = tensors() if weights is None else weights
    names = sorted(weights)
    index = {}
    for number in range(SHARDS):
        file = f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors"
        held = names[number::SHARDS]
        save_file({name: weights[name] for name in held}, folder / file)
        index |= dict.fromkeys(held, file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / SIZES_FILE).write_text(json.dumps(sizes().to_json()))
    videochat.tokenizer().save(folder)
    return folder
