"""The conformance kit: subclass one of these pytest classes, give one fixture, get every test."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpo_core.testing.heads import HeadConformance

__all__ = ["HeadConformance"]

_HOMES = {"HeadConformance": "tpo_core.testing.heads"}


def __getattr__(name: str) -> Any:
    """Import a kit on first use, with pytest's detailed messages for its asserts."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    pytest.register_assert_rewrite(_HOMES[name])
    return getattr(import_module(_HOMES[name]), name)
