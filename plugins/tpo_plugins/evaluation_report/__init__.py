"""The report of evaluations: one HTML file with tables, curves and samples inside.

`results.py` reads what `tpo eval --out` wrote, `tables.py` sets published figures beside ours,
`charts.py` plots, `choose.py` picks samples, `evidence.py` brings the fields of every benchmark
into one form that `pictures.py` draws, `write.py` and `evaluation.html.j2` lay it out.
"""

from __future__ import annotations

from tpo_plugins.evaluation_report.write import write_evaluation_report

__all__ = ["write_evaluation_report"]
