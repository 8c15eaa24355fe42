"""PerceptionLM: one function encodes images and videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpo_backbones.family import Family
from tpo_backbones.generic.visual import Visual


class PerceptionLM(Family):
    """What differs in PerceptionLM."""

    def encode(self, features: Any, inputs: Mapping[str, Any]) -> Visual:
        """Encode a video as images, under its own name."""
        if "pixel_values_videos" not in inputs:
            return super().encode(features, inputs)
        output = features.get_image_features(inputs["pixel_values_videos"], return_dict=True)
        return Visual.of("video", output)
