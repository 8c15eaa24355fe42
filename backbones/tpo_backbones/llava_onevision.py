"""LLaVA-OneVision: a video is its frames' pooled grids and one newline row at the very end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tpo_backbones.family import Family
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_backbones.generic.visual import Visual


class LlavaOnevision(Family):
    """What differs in LLaVA-OneVision."""

    def frame_groups(self, visual: Visual, inputs: Mapping[str, Any], frames: int) -> Tensor:
        """Drop the newline row behind a video."""
        rows = visual.rows
        if visual.modality == "image":
            return rows[None]
        return rows[:-1].view(frames, -1, rows.shape[-1])


class LlavaOnevisionAdapter(TransformersAdapter):
    """The adapter of LLaVA-OneVision checkpoints."""

    model_types = ("llava_onevision",)
