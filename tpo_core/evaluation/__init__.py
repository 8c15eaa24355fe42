"""Evaluation: benchmarks, protocols and metrics."""
