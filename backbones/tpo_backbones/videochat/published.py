"""Names of the published checkpoint (of OpenGVLab/TPO) and what they are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# PEFT wrapped the language model alone there; here it wraps the whole model.
_LANGUAGE: Final = "lm.base_model.model."
_SHARED: Final = (
    "vision_encoder.",
    "vision_layernorm.",
    "qformer.",
    "query_tokens",
    "extra_query_tokens",
    "project_up.",
)

# Parts of earlier versions that the published code builds and never runs.
LEGACY: Final = ("project_down.", "merge_proj.", "temporal_embed.", "action_embed.")

# Learned inputs of slots, parameters of their own there and embedding rows here.
SLOT_OF: Final[Mapping[str, str]] = {
    "box_token": "<boxes>",
    "temporal_token": "<temp>",
    "track_token": "<tracking>",
}


def own_name(published: str) -> str | None:
    """Return what a tensor of the published checkpoint is called in `VideoChatModel`.

    LoRA's tensors get the names they have once PEFT has wrapped the linear layers of the model.

    Args:
        published: Its key.

    Returns:
        None for what is no part of the backbone: heads, SAM2, slots' inputs, legacy parts.
    """
    if published.startswith(_LANGUAGE):
        return "lm." + published.removeprefix(_LANGUAGE)
    return published if published.startswith(_SHARED) else None
