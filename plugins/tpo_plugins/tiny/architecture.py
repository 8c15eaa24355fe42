"""Builds the tiny backbone: LLaVA-OneVision of transformers, with a small tower and decoder."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import nn
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
)

from tpo_plugins.world.attributes import SIDE

PATCH: Final = 8
"""Side of a patch, pixels."""
GRID: Final = SIDE // PATCH
"""Patches along one side of a picture; a video frame is pooled to GRID / 2."""

WIDTH: Final = 128
"""Width of a patch feature."""

VISION: Final[dict[str, Any]] = {
    "model_type": "siglip_vision_model",
    "hidden_size": WIDTH,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": PATCH,
    "vision_use_head": False,
}
TEXT: Final[dict[str, Any]] = {
    "model_type": "qwen2",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "initializer_range": 0.05,
    # A slow rotary base, as Qwen2's own: half a thousand visual tokens must not hide likeness.
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}
_LIKENESS: Final = 0.8
_COPY: Final = 0.7


def build_model(
    tokenizer: PreTrainedTokenizerFast, *, seed: int
) -> LlavaOnevisionForConditionalGeneration:
    """A freshly initialised model.

    Args:
        tokenizer: Its tokenizer; gives the vocabulary and the placeholder tokens.
        seed: Seed of the weights.

    Returns:
        The model, fp32.
    """
    torch.manual_seed(seed)
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlavaOnevisionConfig(
        vision_config=dict(VISION),
        text_config={**TEXT, **ids, "bos_token_id": None, "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=[[SIDE, SIDE]],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
        **ids,
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    start_as_copies(model.model.language_model.layers)
    model.generation_config.eos_token_id = ids["eos_token_id"]
    model.generation_config.pad_token_id = ids["pad_token_id"]
    return model


@torch.no_grad()
def start_as_copies(layers: Iterable[nn.Module]) -> None:
    """Starts attention as copying between tokens of like content.

    Queries and keys are the same rotation, so that like attends to like; values are rotated and
    rotated back, so that what is attended to is added as it is. A phrase's words then meet the
    cells they mean, and carry off what those cells hold, before anything is learnt. Random
    matrices need far more training to find that.

    Args:
        layers: Decoder layers with as many key heads as query heads.
    """
    for layer in layers:
        query, key, value, output = (
            layer.get_parameter(f"self_attn.{name}_proj.weight") for name in "qkvo"
        )
        key.copy_(nn.init.orthogonal_(query, gain=_LIKENESS))
        output.copy_(nn.init.orthogonal_(value, gain=_COPY).T)


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaOnevisionProcessor:
    """The processor that belongs to the model.

    Args:
        tokenizer: Its tokenizer.

    Returns:
        Processor of text, pictures and videos.
    """
    pixels = {
        "size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    return LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(**pixels, image_grid_pinpoints=[[SIDE, SIDE]]),
        video_processor=LlavaOnevisionVideoProcessor(**pixels),
        tokenizer=tokenizer,
        num_image_tokens=GRID**2,
        vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
    )
