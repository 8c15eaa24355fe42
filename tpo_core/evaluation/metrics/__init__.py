"""Metrics on plain values, free of torch."""
