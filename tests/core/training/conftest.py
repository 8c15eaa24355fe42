"""Recipes on the small world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpo_core.training.recipe import Recipe, parse_recipe

STAGE: dict[str, Any] = {
    "name": "only",
    "train": {"lora": 1e-3, "tokens": 1e-3, "region": 1e-3, "temporal": 1e-3},
    "steps": 4,
    "batch": 4,
    "micro_batch": 4,
    "branches": 2,
}


@pytest.fixture
def make_recipe(world: Path, random_llava: Path) -> Callable[..., Recipe]:
    """Return a recipe with one stage on the small world, changed as asked."""

    def make(*, seed: int = 0, stages: list[dict[str, Any]] | None = None, **stage: Any) -> Recipe:
        data = [{"path": str(world / "train.jsonl"), "tasks": ["region", "temporal", "chat"]}]
        return parse_recipe(
            {
                "name": "test",
                "backbone": str(random_llava),
                "heads": {"region": {}, "temporal": {}},
                "lora": {"rank": 4, "alpha": 8},
                "num_frames": 4,
                "seed": seed,
                "stages": [{**STAGE, "data": data, **changes} for changes in stages or [stage]],
            }
        )

    return make
