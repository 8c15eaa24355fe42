"""The report of a quickstart: one HTML file with its figures inside.

`run_data.py` reads what the run wrote, `samples.py` chooses what to show, `curves.py`, `boxes.py`,
`masks.py` and `timeline.py` draw, `write.py` and `template.html.j2` lay it out.
"""

from __future__ import annotations

from tpo_plugins.report.write import write_report

__all__ = ["write_report"]
