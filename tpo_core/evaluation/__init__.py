"""Evaluation: benchmarks, protocols and metrics."""

from __future__ import annotations

from tpo_core.evaluation.benchmark import Benchmark, Case, Item, Score
from tpo_core.evaluation.result import EvaluationResult, Prediction, writable_folder
from tpo_core.evaluation.run import evaluate

__all__ = [
    "Benchmark",
    "Case",
    "EvaluationResult",
    "Item",
    "Prediction",
    "Score",
    "evaluate",
    "writable_folder",
]
