"""VideoLLaMA 3: visual tokens that repeat the frame before are dropped from the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tpo_backbones.family import Family
from tpo_backbones.generic.visual import Visual


class VideoLlama3(Family):
    """What differs in VideoLLaMA 3."""

    note = "unchanged patches of a video are dropped"

    def encode(self, features: Any, inputs: Mapping[str, Any]) -> Visual:
        """Drop the rows that the processor left no placeholder for; heads still get all frames."""
        visual = super().encode(features, inputs)
        kept = inputs.get("video_compression_mask")
        if kept is None:
            return visual
        rows = visual.rows[kept]
        return replace(visual, rows=rows, counts=(len(rows),), frames=visual.rows)
