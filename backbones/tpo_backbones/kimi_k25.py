"""Kimi K2.5: a video is chunks of four frames, each pooled over time to one grid."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from tpo_backbones.family import Family, grouped
from tpo_backbones.generic.visual import Visual


class KimiK25(Family):
    """What differs in Kimi K2.5."""

    note = "frames are pooled in fours"

    def encode(self, features: Any, inputs: Mapping[str, Any]) -> Visual:
        """Run tower and projector chunk by chunk.

        `get_video_features` of transformers 5.23 fails for chunks of several frames: it splits its
        output by their number although the tower has pooled over it.
        """
        if "pixel_values_videos" not in inputs:
            return super().encode(features, inputs)
        grids = inputs["video_grid_thw"]
        pixels = inputs["pixel_values_videos"].split(grids.prod(-1).tolist())
        chunks = []
        for chunk, grid in zip(pixels, grids, strict=True):
            pooled = features.vision_tower(chunk, grid_thw=grid[None]).pooler_output
            chunks.append(features.mm_projector(pooled).squeeze(1))
        return Visual.of("video", SimpleNamespace(pooler_output=chunks))

    def frame_groups(self, visual: Visual, inputs: Mapping[str, Any], frames: int) -> Tensor:
        """Make one group of each chunk."""
        grids = inputs.get("video_grid_thw")
        return grouped(visual.rows, frames if grids is None else len(grids))
