"""Qwen2.5-VL: frames in pairs, positions in three axes, absolute time in the positions."""

from __future__ import annotations

from tpo_backbones.generic.adapter import TransformersAdapter


class Qwen25VLAdapter(TransformersAdapter):
    """The adapter of Qwen2.5-VL checkpoints; grids and rates reach the defaults by name."""

    model_types = ("qwen2_5_vl",)
