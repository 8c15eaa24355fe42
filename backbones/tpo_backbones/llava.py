"""LLaVA 1.5: one run of placeholders per image; a video is its frames as images."""

from __future__ import annotations

from tpo_backbones.generic.adapter import TransformersAdapter


class LlavaAdapter(TransformersAdapter):
    """The adapter of LLaVA 1.5 checkpoints; nothing differs from the defaults."""

    model_types = ("llava",)
