"""Recipes, stages and the trainer."""

from __future__ import annotations

from tpo_core.training.recipe import Recipe, load_recipe
from tpo_core.training.run import TrainResult, train

__all__ = ["Recipe", "TrainResult", "load_recipe", "train"]
