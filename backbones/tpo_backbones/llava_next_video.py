"""LLaVA-NeXT-Video: a video is its frames' pooled grids, end to end."""

from __future__ import annotations

from tpo_backbones.generic.adapter import TransformersAdapter


class LlavaNextVideoAdapter(TransformersAdapter):
    """The adapter of LLaVA-NeXT-Video checkpoints; nothing differs from the defaults."""

    model_types = ("llava_next_video",)
