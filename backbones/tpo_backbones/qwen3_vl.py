"""Qwen3-VL: features of several tower layers are added to the first decoder layers (deepstack)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tpo_backbones.family import Family
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_backbones.generic.visual import FieldKind


class Qwen3VL(Family):
    """What differs in Qwen3-VL."""

    fields: ClassVar[Mapping[str, FieldKind]] = {"deepstack_features": "layers"}


class Qwen3VLAdapter(TransformersAdapter):
    """The adapter of Qwen3-VL checkpoints."""

    model_types = ("qwen3_vl",)
