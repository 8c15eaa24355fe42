"""SmolVLM2: each frame of a video stands behind its time; videos have a template of their own."""

from __future__ import annotations

from typing import Any

from tpo_backbones.family import Family
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_core.media.types import MediaKind


class SmolVLM(Family):
    """What differs in SmolVLM."""

    note = "a video uses the processor's own chat template"

    def chat_template(self, processor: Any, kind: MediaKind | None) -> str:
        """Return what the processor would use: released templates leave out videos."""
        if kind == "video":
            from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

            return str(DEFAULT_CHAT_TEMPLATE)
        return super().chat_template(processor, kind)


class SmolVLMAdapter(TransformersAdapter):
    """The adapter of SmolVLM checkpoints."""

    model_types = ("smolvlm",)
