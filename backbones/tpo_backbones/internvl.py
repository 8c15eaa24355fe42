"""InternVL: images in tiles; the processor hands a video over as its frames in image tokens."""

from __future__ import annotations

from tpo_backbones.generic.adapter import TransformersAdapter


class InternVLAdapter(TransformersAdapter):
    """The adapter of InternVL checkpoints in transformers' own format; the defaults fit."""

    model_types = ("internvl",)
