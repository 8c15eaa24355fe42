"""What ships with the package, registered through the same hooks as anyone else's plugin.

This module is imported whenever plugins are listed: specs only, no torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Iterable

from tpo_core import BackboneSpec, HeadSpec, hookimpl
from tpo_core.tokens import MASK, REGION, TEMPORAL

_GENERIC = "tpo_backbones.generic.adapter:TransformersAdapter"

BACKBONES = (
    BackboneSpec(
        name="transformers",
        target=_GENERIC,
        model_types=("*",),
        summary="any image-text-to-text model of transformers",
    ),
)

HEADS = (
    HeadSpec(
        name="mask",
        target="tpo_heads.mask:MaskHead",
        requires=("sam2",),
        install_hint="pip install 'sam2>=1.1,<1.2'",
        tokens=(MASK,),
        summary="masks on an image or through a video, by SAM2",
    ),
    HeadSpec(
        name="region",
        target="tpo_heads.region:RegionHead",
        tokens=(REGION,),
        summary="one box, normalised xyxy",
    ),
    HeadSpec(
        name="temporal",
        target="tpo_heads.temporal:TemporalHead",
        tokens=(TEMPORAL,),
        summary="ranked spans in seconds and the saliency of each frame",
    ),
)


@hookimpl
def tpo_backbones() -> Iterable[BackboneSpec]:
    """Register the families whose adapters ship here."""
    return BACKBONES


@hookimpl
def tpo_heads() -> Iterable[HeadSpec]:
    """Register the three heads of TPO."""
    return HEADS
