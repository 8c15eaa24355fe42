"""Ovis2: visual words; the marks around an image are embedded visually too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tpo_backbones.family import Family
from tpo_backbones.generic.visual import FieldKind


class Ovis2(Family):
    """What differs in Ovis2."""

    fields: ClassVar[Mapping[str, FieldKind]] = {"visual_indicator_features": "table"}

    def after_resize(self, model: Any, rows: int) -> None:
        """Keep the second vocabulary size, which `resize_token_embeddings` leaves behind."""
        model.config.vocab_size = rows
