"""Clip features of InternVideo2-CLIP (arXiv 2403.15377), the encoder of TPO's temporal head."""

from tpo_heads.clip_features.internvideo2.source import InternVideo2Source

__all__ = ["InternVideo2Source"]
