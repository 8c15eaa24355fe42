"""Shared by all tests: a small world on disk and models small enough to build in a moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny world's files, a few records a split."""
    from tpo_plugins.world import generate_world

    folder = tmp_path_factory.mktemp("world")
    generate_world(folder, seed=0, sizes={"train": 24, "val": 4, "test": 8})
    return folder


@pytest.fixture(scope="session")
def random_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny LLaVA-OneVision checkpoint, its embeddings untied."""
    from tests.backbones.tiny_families import write

    return write("llava_onevision", tmp_path_factory.mktemp("llava_onevision"))


@pytest.fixture(scope="session")
def make_model(random_llava: Path) -> Callable[..., Any]:
    """Build a model on the random checkpoint; the same weights for the same seed."""

    def make(*heads: str, seed: int = 0, **options: Any) -> Any:
        import torch

        from tpo_core.build import attach

        torch.manual_seed(seed)
        return attach(str(random_llava), heads or ("region", "temporal"), device="cpu", **options)

    return make
