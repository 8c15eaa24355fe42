"""Evaluation: benchmarks, protocols and metrics."""

from __future__ import annotations

from tpo_core.evaluation.benchmark import Benchmark, Case, Curve, Item, Published, Score
from tpo_core.evaluation.named import open_benchmark
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.evaluation.predictions import Expected
from tpo_core.evaluation.result import EvaluationResult, Prediction
from tpo_core.evaluation.run import evaluate

__all__ = [
    "Benchmark",
    "Case",
    "Curve",
    "EvaluationResult",
    "Expected",
    "Item",
    "Prediction",
    "Published",
    "Score",
    "evaluate",
    "open_benchmark",
    "score_predictions",
]
