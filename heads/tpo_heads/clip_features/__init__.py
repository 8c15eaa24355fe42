"""Clip features for temporal heads, from files, a video encoder or the backbone itself."""

from tpo_heads.clip_features.build import build_source
from tpo_heads.clip_features.source import ClipFeatures, FeatureSource

__all__ = ["ClipFeatures", "FeatureSource", "build_source"]
