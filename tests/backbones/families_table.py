"""Write the table of families in docs/families.md and README from a run of the kit.

python -m tests.backbones.families_table        # runs the kit, rewrites the table, prints it
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tpo_backbones import families
from tpo_core.backbone import Strategy

_ROOT = Path(__file__).parents[2]
PAGES = (_ROOT / "docs" / "families.md", _ROOT / "README.md")
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
_CLASS = re.compile(r"::Test_(\w+?)(?:_tied)?::")
_HEADER = "| family | images | videos | branches share | kit | notes |\n|---|---|---|---|---|---|"
_SHARE: dict[Strategy, str] = {
    "tree": "tree",
    "prefix_cache": "prefix cache",
    "single": "nothing (single)",
}
_VIDEO = {"video": "yes", "images": "frames as images", "no": "no"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the table says of a family, the kit's outcome left out."""

    family: str
    video: str
    share: str
    note: str

    def line(self, outcome: str) -> str:
        cells = (f"`{self.family}`", "yes", self.video, self.share, outcome, self.note)
        return "| " + " | ".join(cells) + " |"


def row_of(family: str, adapter: Any) -> Row:
    """Read a family's row off its loaded adapter."""
    return Row(
        family=family,
        video=_VIDEO[adapter.family.video(adapter.processor)],
        share=_SHARE[adapter.strategy],
        note=adapter.family.note,
    )


class Outcomes:
    """A pytest plugin that counts the kit's outcomes by family."""

    def __init__(self) -> None:
        self.by_family: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _CLASS.search(report.nodeid)
        if found and (report.when == "call" or report.failed):
            self.by_family.setdefault(found[1], Counter())[report.outcome] += 1


def main() -> int:
    """Run the kit and rewrite the pages' table."""
    from tests.backbones.tiny_families import FAMILIES, build

    outcomes = Outcomes()
    kit = str(Path(__file__).with_name("test_families.py"))
    pytest.main([kit, "-n", "2", "-k", "not page"], plugins=[outcomes])
    lines = [_HEADER]
    for family in sorted(FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            row = row_of(family, build(family, folder))
        counts = outcomes.by_family[family]
        failed = f", {counts['failed']} failed" if counts["failed"] else ""
        lines.append(row.line(f"{counts['passed']} passed{failed}"))
    refused = [f"- `{name}`: {reason}." for name, reason in sorted(families.REFUSED.items())]
    table = "\n".join([*lines, "", "Refused when loaded:", "", *refused])
    for path in PAGES:
        before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    print(table)
    return int(any(counts["failed"] for counts in outcomes.by_family.values()))


if __name__ == "__main__":
    sys.exit(main())
