"""The embedded tiny model with every head, untrained: it answers, if not well."""

from __future__ import annotations

import pytest

import tpo_core as tpo
from tpo_core.model import TpoModel


@pytest.fixture(scope="session")
def tiny_model() -> TpoModel:
    """The embedded backbone with untrained heads; seeded, on the CPU."""
    import torch

    torch.manual_seed(0)
    return tpo.attach("tiny", ["region", "temporal", "mask"], device="cpu")
