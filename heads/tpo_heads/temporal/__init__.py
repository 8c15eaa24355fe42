"""The temporal head: moments in seconds from a task token's state and frame features."""

from tpo_heads.temporal.head import TemporalHead, TemporalOutputs

__all__ = ["TemporalHead", "TemporalOutputs"]
