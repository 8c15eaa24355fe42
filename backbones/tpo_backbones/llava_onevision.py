"""LLaVA-OneVision: a video is its frames' pooled grids and one newline row at the very end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tpo_backbones.family import Family, grouped
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_backbones.generic.visual import Visual


class LlavaOnevision(Family):
    """What differs in LLaVA-OneVision."""

    def frame_groups(self, visual: Visual, inputs: Mapping[str, Any], frames: int) -> Tensor:
        """Drop the newline row behind a video."""
        rows = visual.rows[:-1] if visual.modality == "video" else visual.rows
        return grouped(rows, frames)


class LlavaOnevisionAdapter(TransformersAdapter):
    """The adapter of LLaVA-OneVision checkpoints."""

    model_types = ("llava_onevision",)
