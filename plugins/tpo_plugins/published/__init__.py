"""Figures that publications give, to stand beside a model's own.

`tpo_paper.yaml` holds the tables as printed and which of their columns are figures of a benchmark,
`schema.py` says what such a file may hold, `figures.py` answers for a benchmark.
"""

from __future__ import annotations

from tpo_plugins.published.figures import load_paper, published_by_kind, published_figures

__all__ = ["load_paper", "published_by_kind", "published_figures"]
