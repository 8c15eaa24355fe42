"""Check a finished quickstart folder: the region loss fell, and everything promised is there.

Run by `.ci/run` on a short quickstart: `python tests/check_quickstart.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KEYS = {"qa_accuracy", "region_acc@0.5", "temporal_r1@0.5", "temporal_r1@0.7", "mask_j&f"}


def main(folder: Path) -> None:
    """Raise AssertionError naming what is wrong."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for when in ("before", "after"):
        assert set(metrics[when]) == KEYS, f"{when} has {sorted(metrics[when])}"
        assert all(0 <= value <= 1 for value in metrics[when].values()), metrics[when]
    assert metrics["seconds"] > 0
    assert 0 < metrics["peak_rss_mb"] < 4096, f"peak memory {metrics['peak_rss_mb']} MB"
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    region = [entry["region/l1"] for entry in log if "region/l1" in entry]
    assert len(region) >= 4, f"only {len(region)} log lines with a region loss"
    third = max(1, len(region) // 3)
    first, last = sum(region[:third]) / third, sum(region[-third:]) / third
    assert last < first, f"region loss went from {first:.4f} to {last:.4f}"
    report = (folder / "report.html").read_text()
    assert report.count("data:image/png;base64,") >= 4, "the report lacks pictures"
    assert (folder / "model" / "config.json").exists(), "no model was saved"
    print(f"quickstart ok: region l1 {first:.4f} -> {last:.4f}, {metrics['seconds']:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
