"""What tests of multiple-choice benchmarks share: the golden answers, media, predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.plugins.benchmarks.moment_answers import golden
from tpo_core.evaluation import Benchmark, EvaluationResult, Item
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.media.write import write_video
from tpo_core.records.quarantine import BadSample

GOLDEN = golden("mcq_parsing")
ROWS: list[dict[str, Any]] = GOLDEN["inputs"]["rows"]
OFFICIAL: list[dict[str, Any]] = GOLDEN["expected"]["rows"]
LETTERS = "ABCDE"


def write_frames(path: Path, count: int, *, fps: int = 4) -> None:
    """Write a video whose frame i has the brightness 5 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32)
    write_video(path, 5 * frames, fps=fps)


def score_texts(
    benchmark: str | Benchmark, data: Path, texts: Mapping[str, str]
) -> EvaluationResult:
    """Score answers given by the ids of questions, through a file of predictions."""
    path = data / "texts.jsonl"
    rows = ({"id": name, "text": text} for name, text in texts.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return score_predictions(benchmark, path, data=data, progress=False)


def items_of(benchmark: Benchmark, data: Path) -> list[Item]:
    """Return every question; no row may be bad."""
    cases = list(benchmark.cases(data))
    assert not [case for case in cases if isinstance(case, BadSample)]
    assert len(cases) == benchmark.size(data)
    return [item for case in cases for item in case.items]


def bad_rows(benchmark: Benchmark, data: Path) -> list[BadSample]:
    return [case for case in benchmark.cases(data) if isinstance(case, BadSample)]


def percent(values: Iterable[bool | None]) -> float:
    """Return the share of right verdicts among those that count, in percent."""
    counted = [value for value in values if value is not None]
    return 100 * sum(counted) / len(counted)
