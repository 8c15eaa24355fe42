"""Golden data of the published model: what is there, and models of ours with its weights.

`TPO_GOLDEN_DIR` may name another folder of such sets; nothing here knows their sizes.

Shapes: L tokens, P of a prompt, D hidden size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_backbones.videochat.config import LanguageConfig, VideoChatConfig
from tpo_backbones.videochat.model import VideoChatModel
from tpo_backbones.videochat.published import own_name
from tpo_backbones.videochat.qformer import QFormerConfig
from tpo_backbones.videochat.tokenizer import Tokenizer
from tpo_backbones.videochat.vision import VisionConfig
from tpo_core.backbone import RenderedBranch, RenderedRecord
from tpo_core.lora import LoraSettings, add_adapter

HERE = Path(__file__).parents[1] / "golden"
FOLDER = Path(os.environ.get("TPO_GOLDEN_DIR", HERE)) / "tpo"


@dataclass(frozen=True, slots=True)
class Golden:
    """One set: settings, and tensors by name; `weights` have the published checkpoint's names."""

    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the weights below a prefix, which is dropped from their names."""
        found = {name: value for name, value in self.weights.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): value for name, value in found.items()}


def names(prefix: str) -> list[str]:
    """Return the sets of one kind, such as `2_vit_`, that have tensors."""
    found = [path.stem for path in sorted(FOLDER.glob(f"{prefix}*.json"))]
    return [name for name in found if (FOLDER / f"{name}.safetensors").exists()]


def tables(prefix: str) -> list[str]:
    """Return the sets of one kind that are JSON alone."""
    found = [path.stem for path in sorted(FOLDER.glob(f"{prefix}*.json"))]
    return [name for name in found if not (FOLDER / f"{name}.safetensors").exists()]


def read(name: str) -> Golden:
    """Read a set; the weights of some lie in files of their own."""
    everything: dict[str, Tensor] = {}
    for suffix in ("", "_weights", "_weights_sam"):
        path = FOLDER / f"{name}{suffix}.safetensors"
        if path.exists():
            everything |= load_file(path)
    tensors = {key: value for key, value in everything.items() if not key.startswith("sd.")}
    weights = {key[3:]: value for key, value in everything.items() if key.startswith("sd.")}
    return Golden(read_json(name), tensors, weights)


def read_json(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def mistral_tokenizer() -> Tokenizer:
    folder = Path(os.environ.get("TPO_SHARED_DATA", HERE))
    return Tokenizer((folder / "mistral_tokenizer.model").read_bytes())


# Settings under the published code's names


def vision_config(values: Mapping[str, Any]) -> VisionConfig:
    return VisionConfig(
        image_size=values["img_size"],
        patch_size=values["patch_size"],
        tubelet_size=values["tubelet_size"],
        width=values["encoder_embed_dim"],
        heads=values["encoder_num_heads"],
        depth=values["encoder_depth"],
        return_index=values["return_index"],
        drop_path=values["drop_path_rate"],
    )


def qformer_config(values: Mapping[str, Any]) -> QFormerConfig:
    assert values["hidden_act"] == "gelu"
    return QFormerConfig(
        width=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        intermediate_size=values["intermediate_size"],
        cross_attention_every=values["cross_attention_freq"],
        queries=values["nq"],
        extra_queries=values["nx"],
        vocabulary=values["vocab_size"],
        max_positions=values["max_position_embeddings"],
        norm_eps=values["layer_norm_eps"],
    )


def config(golden: Golden) -> VideoChatConfig:
    """Return the config of a whole model; the Q-Former's sizes are read off its weights."""
    values, llm = golden.settings["model_config"], golden.settings["llm"]
    bridge, bert = values["bridge"], golden.part("qformer.bert.")
    words, places = (bert[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position"))
    crossed = sorted({int(n.split(".")[2]) for n in bert if ".crossattention." in n})
    return VideoChatConfig(
        vision=vision_config(values["vision_encoder"]),
        qformer=QFormerConfig(
            width=words.shape[1],
            layers=1 + max(int(n.split(".")[2]) for n in bert if n.startswith("encoder.")),
            heads=4,  # said nowhere; all tiny models have as many
            intermediate_size=len(bert["encoder.layer.0.intermediate.dense.weight"]),
            cross_attention_every=crossed[1] if len(crossed) > 1 else len(words),
            queries=bridge["num_query_token"],
            extra_queries=bridge["extra_num_query_token"],
            vocabulary=len(words),
            max_positions=len(places),
            dropout=bridge["qformer_hidden_dropout_prob"],
            attention_dropout=bridge["qformer_attention_probs_dropout_prob"],
            drop_path=bridge["qformer_drop_path_rate"],
        ),
        language=LanguageConfig(
            hidden_size=llm["hidden_size"],
            intermediate_size=llm["intermediate"],
            layers=llm["layers"],
            heads=llm["heads"],
            key_value_heads=llm["kv_heads"],
            vocabulary=llm["vocab_base"] + len(golden.settings["special_ids"]),
            norm_eps=llm["rms_norm_eps"],
            rope_theta=llm["rope_theta"],
        ),
        num_frames=values["vision_encoder"]["num_frames"],
    )


def backbone(golden: Golden) -> VideoChatAdapter:
    """Return an adapter with a set's weights, LoRA injected but not merged."""
    adapter = VideoChatAdapter(VideoChatModel(config(golden)), mistral_tokenizer())
    llm = golden.settings["model_config"]["llm"]
    if llm["use_lora"]:
        lora = LoraSettings(
            rank=llm["lora_r"], alpha=llm["lora_alpha"], dropout=llm["lora_dropout"]
        )
        add_adapter(adapter, [], lora)
    named = {own_name(name): value for name, value in golden.weights.items()}
    adapter.model.load_state_dict({name: value for name, value in named.items() if name})
    adapter.self_check()
    return adapter.eval()


# Sequences as records


def record(
    ids: Tensor, frames: Tensor, *, after: Sequence[Sequence[int]] = ((),)
) -> RenderedRecord:
    """Return the record of a sequence: prefix up to the last visual place, then branches.

    Args:
        ids: `[1, L]` long.
        frames: `[1, T, 3, S, S]`, normalised.
        after: What follows the sequence in each branch.
    """
    prefix = int((ids[0] == 0).nonzero()[-1]) + 1
    branches = []
    for more in after:
        branch = torch.cat([ids[0, prefix:], torch.tensor(more, dtype=torch.long)])
        branches.append(RenderedBranch(ids=branch, supervised=torch.zeros(len(branch)).bool()))
    return RenderedRecord(
        prefix_ids=ids[0, :prefix], branches=tuple(branches), inputs={"pixel_values": frames}
    )
