"""Loading a checkpoint: config first, so that mistakes show before gigabytes are read."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tpo_core.attention import TREE_ATTENTION, register
from tpo_core.errors import InputError
from tpo_core.resources import resolve


def load_config(checkpoint: str) -> tuple[Any, str]:
    """Return the config of a checkpoint, and its folder or hub id.

    Raises:
        InputError: If there is no such checkpoint or it holds no transformers config.
    """
    from transformers import AutoConfig

    place = resolve(checkpoint)
    try:
        return AutoConfig.from_pretrained(place), place
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"cannot read a transformers config from {checkpoint!r}: {_first_line(error)}; give a "
            "folder with config.json, a hub id, or 'package:module/folder'"
        ) from error


def load_processor(place: str) -> Any:
    """Return the processor of a checkpoint.

    Raises:
        InputError: If it has none with a tokenizer and an image processor.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(place)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"cannot load a processor from {place!r}: {_first_line(error)}") from error
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise InputError(
            f"{place!r} holds a {type(processor).__name__}, expected a processor of text and images"
        )
    return processor


def load_model(
    place: str, config: Any, *, dtype: torch.dtype | None, attention: str, device: torch.device
) -> nn.Module:
    """Load weights.

    Args:
        place: Folder or hub id.
        config: Its config.
        dtype: None for the stored one on a GPU and fp32 on a CPU, where half types are slow.
        attention: `"auto"`, or the name of a transformers attention implementation.
        device: Where to put the model.

    Raises:
        InputError: If no image-text-to-text class serves this config, or weights are missing.
    """
    from transformers import AutoModelForImageTextToText

    if dtype is None and device.type == "cpu":
        dtype = torch.float32
    options = {"dtype": dtype or "auto", "config": config, "use_safetensors": True}
    try:
        if attention != "auto":
            model = AutoModelForImageTextToText.from_pretrained(
                place, attn_implementation=attention, **options
            )
        else:
            model = AutoModelForImageTextToText.from_pretrained(place, **options)
            use_tree_attention(model)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"cannot load an image-text-to-text model from {place!r}: {_first_line(error)}"
        ) from error
    moved: nn.Module = model.to(device).eval()
    return moved


def use_tree_attention(model: Any) -> None:
    """Let the decoder attend through `tpo_core.attention`, the vision tower through what it chose.

    Models that must run eagerly (softcapped scores) or drop attention weights keep what they have.
    """
    register()
    text = model.config.get_text_config()
    has_dropout = bool(getattr(text, "attention_dropout", 0.0))
    if text._attn_implementation == "sdpa" and not has_dropout:
        text._attn_implementation = TREE_ATTENTION


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
