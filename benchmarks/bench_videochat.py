"""Questions about a video, by VideoChat-TPO: ours against a flow like the published demo's.

Both have the same weights, see `videochat_flows.py`; tokens and results are checked equal first.
Bars: 0.6 of the time for the first question on a video, 0.2 for each further one (the demo encodes
the video again), 0.5 of the peak memory above the loaded weights, each in a process of its own.
`cpu_ratio` is that of the processors' time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from common import report
from videochat_flows import QUESTIONS, Answered, load, ours, reference, write_model

RUNS = 5
TOLERANCE = 1e-4


class Cost(NamedTuple):
    """Seconds on the clock, and of all processors together."""

    clock: float
    processors: float


def main() -> None:
    """Print one JSON line a figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _report_memory(folder)
        merged, apart = load(folder, merge=True), load(folder, merge=False)
        difference = max(
            _difference(found, reference(apart, folder, question))
            for question, found in zip(QUESTIONS, ours(merged, folder, *QUESTIONS), strict=True)
        )
        costs: dict[str, list[Cost]] = {}
        for _ in range(RUNS):
            for question in QUESTIONS:
                for flow, run in (
                    ("ours", lambda q=question: ours(merged, folder, q)),
                    ("reference", lambda q=question: reference(apart, folder, q)),
                ):
                    costs.setdefault(f"{flow} {question}", []).append(_cost(run))
            costs.setdefault("all", []).append(_cost(lambda: ours(merged, folder, *QUESTIONS)))
    for question in QUESTIONS:
        one, two = costs[f"ours {question}"], costs[f"reference {question}"]
        _report(f"first question on a video, {question}", one, two, bar=0.6)
    first, *others = QUESTIONS
    further = _mixed(costs["all"], costs[f"ours {first}"], lambda whole, one: (whole - one) / 2)
    again = _mixed(*(costs[f"reference {q}"] for q in others), lambda one, two: (one + two) / 2)
    _report("each further question on the same video", further, again, bar=0.2)
    print(json.dumps({"largest difference of results": difference, "bar": TOLERANCE}))


def _cost(run: Callable[[], object]) -> Cost:
    clock, processors = time.perf_counter(), time.process_time()
    run()
    return Cost(time.perf_counter() - clock, time.process_time() - processors)


def _mixed(
    left: Sequence[Cost], right: Sequence[Cost], combine: Callable[[float, float], float]
) -> list[Cost]:
    return [Cost(*map(combine, a, b)) for a, b in zip(left, right, strict=True)]


def _report(name: str, one: Sequence[Cost], two: Sequence[Cost], *, bar: float) -> None:
    ratios = [a.processors / b.processors for a, b in zip(one, two, strict=True)]
    clocks = ([cost.clock for cost in costs] for costs in (one, two))
    report(name, *clocks, cpu_ratio=round(statistics.median(ratios), 3), bar=bar)


def _difference(found: Answered, expected: Answered) -> float:
    """Return how far results are apart; tokens may not differ at all."""
    assert found.ids == expected.ids, f"tokens differ: {found.ids} and {expected.ids}"
    pairs = zip(found.numbers, expected.numbers, strict=True)
    difference = max((abs(a - b) for a, b in pairs), default=0.0)
    assert difference < TOLERANCE, f"results differ by {difference}"
    return difference


# Memory


def _report_memory(folder: Path) -> None:
    # While this process is small: a new one starts with its parent's peak as its own.
    _apart("write", folder)
    one, two = (
        statistics.median(float(_apart(flow, folder)) for _ in range(3))
        for flow in ("ours", "reference")
    )
    line = {
        "benchmark": "peak memory above the loaded weights, temporal question",
        "ours_mib": round(one),
        "baseline_mib": round(two),
        "ratio": round(one / two, 3),
        "bar": 0.5,
    }
    print(json.dumps(line))


def _apart(work: str, folder: Path) -> str:
    """Do `"write"`, `"ours"` or `"reference"` in a process of its own; return what it prints."""
    return subprocess.check_output([sys.executable, __file__, work, str(folder)], text=True)


def _measure(flow: str, folder: Path) -> float:
    """Ask one question in this process and return the MiB it took at most."""
    model = load(folder, merge=flow == "ours")
    # Loading may have taken more than the weights; Linux forgets that peak if told to.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    if flow == "ours":
        ours(model, folder, "temporal")
    else:
        reference(model, folder, "temporal")
    return _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) < 3:
        main()
    elif sys.argv[1] == "write":
        write_model(Path(sys.argv[2]))
    else:
        print(_measure(sys.argv[1], Path(sys.argv[2])))
