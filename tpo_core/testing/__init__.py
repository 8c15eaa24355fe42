"""The conformance kit: subclass one of these pytest classes, give one fixture, get every test."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpo_core.testing.backbones import BackboneConformance
    from tpo_core.testing.heads import HeadConformance

__all__ = ["BackboneConformance", "HeadConformance"]

_HOMES = {
    "BackboneConformance": "tpo_core.testing.backbones",
    "HeadConformance": "tpo_core.testing.heads",
}
# Modules whose asserts a kit's tests run.
_ASSERTING = {
    "BackboneConformance": (
        "tpo_core.testing.backbone_samples",
        "tpo_core.testing.backbone_case",
        "tpo_core.testing.backbone_rendering",
        "tpo_core.testing.backbone_forward",
        "tpo_core.testing.backbone_decoding",
        "tpo_core.testing.backbone_training",
    ),
    "HeadConformance": ("tpo_core.testing.heads",),
}


def __getattr__(name: str) -> Any:
    """Import a kit on first use, with pytest's detailed messages for its asserts."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    pytest.register_assert_rewrite(*_ASSERTING[name])
    return getattr(import_module(_HOMES[name]), name)
