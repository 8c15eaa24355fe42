"""Open a conversation file of three million rows and read rows of it at random.

The baseline of random access is parsing the whole file, which is what readers without an index do;
it is timed on a tenth of the rows, since all of them do not fit the memory of a small machine.
"""

from __future__ import annotations

import json
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tpo_plugins.datasets.rows import Rows

ROWS = 3_000_000
PICKED = 1000
TEXT = 'A kitchen, "modern" and bright; a man [left] cuts {green} apples.\n' * 4


def main() -> None:
    """Print one JSON line for each kind of file."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rows.jsonl", "rows.json"):
            path = Path(folder) / name
            write(path, ROWS)
            print(json.dumps({"benchmark": f"3-million-row {name}", **measure(path)}))
            path.unlink()
            path.with_name(f".{name}.tpo-index").unlink()
        path = Path(folder) / "tenth.json"
        write(path, ROWS // 10)
        seconds, _ = timed(lambda: json.loads(path.read_bytes()))
        print(json.dumps({"benchmark": "json.loads of 300,000 rows", "s": round(seconds, 2)}))


def write(path: Path, count: int) -> None:
    """Write made-up rows in LLaVA's layout as JSON lines or, by the suffix, as a JSON list."""
    first, between, last = ("[", ", ", "]") if path.suffix == ".json" else ("", "\n", "\n")
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": TEXT}]
    rest = json.dumps({"conversations": turns})[1:]
    with path.open("w", encoding="ascii") as file:
        for number in range(count):
            start = f'{{"id": "{number}", "image": "coco/{number:012d}.jpg", {rest}'
            file.write(f"{between if number else first}{start}")
        file.write(last)


def measure(path: Path) -> dict[str, object]:
    """Time opening, building the index, opening with it, random access, and reading in order."""
    before = peak_mib()
    first, _ = timed(lambda: next(iter(Rows(path))))
    built, _ = timed(lambda: len(Rows(path)))
    opened, count = timed(lambda: len(Rows(path)))
    assert count == ROWS
    rows = Rows(path)
    picks = random.Random(0).sample(range(ROWS), PICKED)
    access = []
    for number in picks:
        seconds, row = timed(lambda number=number: rows[number])
        assert row.value["id"] == str(number)
        access.append(seconds * 1000)
    in_order, _ = timed(lambda: take(iter(rows), 100_000))
    return {
        "gib": round(path.stat().st_size / 2**30, 2),
        "open_to_first_row_s": round(first, 5),
        "build_index_s": round(built, 2),
        "open_with_index_s": round(opened, 5),
        "row_ms_median": round(statistics.median(access), 3),
        "row_ms_99%": round(sorted(access)[PICKED * 99 // 100], 3),
        "row_ms_worst": round(max(access), 3),
        "rows_a_second_in_order": round(100_000 / in_order),
        "memory_mib": round(peak_mib() - before),
        "machine": f"{platform.machine()}, python {platform.python_version()}",
    }


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds a call took, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def take(items: Iterator[object], count: int) -> None:
    """Go through the first items."""
    for _ in range(count):
        next(items)


def peak_mib() -> float:
    """Return the most memory this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
