"""What ships with the package, registered through the same hooks as anyone else's plugin.

This module is imported whenever plugins are listed: specs only, no torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Iterable

from tpo_core import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec, hookimpl
from tpo_core.tokens import MASK, REGION, TEMPORAL
from tpo_plugins.benchmarks.specs import BENCHMARKS
from tpo_plugins.datasets.specs import DATASETS

# Families with a file of their own, by `config.model_type`: adapter and summary.
_FAMILIES = {
    "internvl": ("tpo_backbones.internvl:InternVLAdapter", "InternVL: images and videos"),
    "llava": ("tpo_backbones.llava:LlavaAdapter", "LLaVA 1.5: images, videos as images"),
    "llava_next_video": (
        "tpo_backbones.llava_next_video:LlavaNextVideoAdapter",
        "LLaVA-NeXT-Video: images and videos",
    ),
    "llava_onevision": (
        "tpo_backbones.llava_onevision:LlavaOnevisionAdapter",
        "LLaVA-OneVision: images and videos",
    ),
    "qwen2_5_vl": ("tpo_backbones.qwen2_5_vl:Qwen25VLAdapter", "Qwen2.5-VL: images and videos"),
    "qwen3_vl": ("tpo_backbones.qwen3_vl:Qwen3VLAdapter", "Qwen3-VL: images and videos"),
    "smolvlm": ("tpo_backbones.smolvlm:SmolVLMAdapter", "SmolVLM: images and videos"),
}

BACKBONES = (
    BackboneSpec(
        name="tiny",
        target=_FAMILIES["llava_onevision"][0],
        checkpoint="package:tpo_plugins/tiny/backbone",
        head_options={"mask": {"sam2": "package:tpo_plugins/tiny/sam2"}},
        summary="the embedded LLaVA-OneVision, pretrained on the tiny world to talk, not to ground",
    ),
    BackboneSpec(
        name="transformers",
        target="tpo_backbones.generic.adapter:TransformersAdapter",
        model_types=("*",),
        summary="any other image-text-to-text model of transformers",
    ),
    BackboneSpec(
        name="videochat",
        target="tpo_backbones.videochat.adapter:VideoChatAdapter",
        model_types=("videochat_tpo",),
        requires=("sentencepiece",),
        install_hint="pip install sentencepiece",
        summary="VideoChat-TPO, the paper's own: images and videos; see tpo convert",
    ),
    *(
        BackboneSpec(name=model_type, target=target, model_types=(model_type,), summary=summary)
        for model_type, (target, summary) in _FAMILIES.items()
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
        name="temporal_cgdetr",
        target="tpo_heads.temporal_cgdetr:CGDETRHead",
        tokens=(TEMPORAL,),
        summary="the paper's temporal head, CG-DETR: spans and saliency from clip features",
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


@hookimpl
def tpo_datasets() -> Iterable[DatasetSpec]:
    """Register the readers of `tpo_plugins.datasets`."""
    return DATASETS


@hookimpl
def tpo_benchmarks() -> Iterable[BenchmarkSpec]:
    """Register the embedded world's benchmark."""
    return BENCHMARKS
