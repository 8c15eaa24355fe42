"""Tiny random models with offline processors, one for each family of transformers that is tested.

`build("llava_onevision", folder)` writes a checkpoint and loads it as users do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HIDDEN = 64
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE' }}"
    "{% elif part['type'] == 'video' %}{{ 'VIDEO' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = [
    "user assistant system When does the red circle appear? It appears at the left of a square.",
    "Where is the object? Describe the video. The blue triangle moves from 1.5 to 2.0 seconds.",
    "How many shapes are there? There are three, and one of them vanishes: Frame 1: 00:01",
]


def tokenizer(*literals: str, **named: str) -> Any:
    """A byte-level BPE tokenizer whose further special tokens are literals or named tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<|im_start|>", "<|im_end|>", *literals, *named.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(dict.fromkeys(specials)),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<pad>",
        extra_special_tokens=named,
    )


def chatml(image: str, video: str | None = None) -> str:
    """A chat template in the style of Qwen with a family's placeholders."""
    return CHATML.replace("IMAGE", image).replace("VIDEO", video or image)


def text(kind: str = "qwen2", **changes: Any) -> dict[str, Any]:
    """The config of a tiny decoder."""
    config: dict[str, Any] = {
        "model_type": kind,
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 512,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    }
    return {**config, **changes}


def siglip(size: int = 56, patch: int = 14) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": size,
        "patch_size": patch,
        "vision_use_head": False,
    }


def llava_onevision() -> tuple[dict[str, Any], Any]:
    from transformers import (
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    tok = tokenizer(image_token="<image>", video_token="<video>")
    size = {"height": 56, "width": 56}
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[56, 56]]),
        tokenizer=tok,
        video_processor=LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>", "<video>"),
    )
    config = {
        "model_type": "llava_onevision",
        "text_config": text("qwen2"),
        "vision_config": siglip(),
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
        "image_grid_pinpoints": [[56, 56]],
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "tie_word_embeddings": False,
    }
    return config, processor


FAMILIES: dict[str, Callable[[], tuple[dict[str, Any], Any]]] = {
    "llava_onevision": llava_onevision,
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
