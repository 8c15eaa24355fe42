"""Llama 4: the model projects the tower's output itself, in its forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tpo_backbones.family import Family
from tpo_backbones.generic.visual import FieldKind, Visual


class Llama4(Family):
    """What differs in Llama 4."""

    fields: ClassVar[Mapping[str, FieldKind]] = {"last_hidden_state": "rows"}

    def encode(self, features: Any, inputs: Mapping[str, Any]) -> Visual:
        """Give the model the tower's output and heads the projected one."""
        output = features.get_image_features(inputs["pixel_values"], return_dict=True)
        output.pooler_output = output.last_hidden_state
        visual = Visual.of("image", output, fields=self.fields)
        return replace(visual, frames=features.multi_modal_projector(visual.rows))

    def several_images(self, processor: Any) -> dict[str, Any]:
        """Return the option that keeps each frame to one tile."""
        return {"max_patches": 1}
