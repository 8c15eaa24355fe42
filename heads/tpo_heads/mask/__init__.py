"""The mask head: task tokens that prompt SAM2."""

from __future__ import annotations

from tpo_heads.mask.head import MaskHead, MaskOutputs

__all__ = ["MaskHead", "MaskOutputs"]
