"""Small releases for referring video object segmentation, and predictions for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image

from tests.plugins.datasets.released import SIZE, block, encode, write_picture
from tpo_core.evaluation import Benchmark, Item, Score
from tpo_core.records.quarantine import BadSample

EMPTY = np.zeros(SIZE, np.bool_)
LEFT, RIGHT = block(2, 1), block(2, 9)


def write_pictures(folder: Path, names: Iterable[str], *, size: tuple[int, int] = SIZE) -> None:
    for name in names:
        write_picture(folder / f"{name}.jpg", size=size)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def masks(*frames: Any) -> dict[str, Any]:
    """Return the fields of a prediction; a frame that is None has no mask."""
    return {"masks": [None if frame is None else encode(frame) for frame in frames]}


def items_of(benchmark: Benchmark, data: Path) -> dict[str, Item]:
    cases = benchmark.cases(data)
    return {
        item.id: item for case in cases if not isinstance(case, BadSample) for item in case.items
    }


def scores_of(
    benchmark: Benchmark, data: Path, predicted: Mapping[str, Mapping[str, Any]]
) -> dict[str, Score]:
    """Score predictions by id."""
    found = {}
    for case in benchmark.cases(data):
        assert not isinstance(case, BadSample)
        ids = [item.id for item in case.items]
        scores = benchmark.score_case(case.items, [predicted.get(name) for name in ids])
        found.update(zip(ids, scores, strict=True))
    return found


def means(scores: Iterable[Score]) -> dict[str, float]:
    """Return the mean of each figure over all values."""
    values: dict[str, list[float]] = {}
    for score in scores:
        for name, each in score.values.items():
            values.setdefault(name, []).extend(each)
    return {name: sum(each) / len(each) for name, each in values.items()}


def bad_samples(benchmark: Benchmark, data: Path) -> list[BadSample]:
    return [case for case in benchmark.cases(data) if isinstance(case, BadSample)]


def pictures_in(archive: Path) -> dict[str, Any]:
    """Return the pixels of every picture of a zip."""
    with ZipFile(archive) as files:
        return {name: np.array(Image.open(files.open(name))) for name in files.namelist()}
