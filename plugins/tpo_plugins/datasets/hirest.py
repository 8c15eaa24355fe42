"""HiREST: which part of an instruction video shows what was asked for, and its steps.

A JSON object by prompt, each an object by video file: `{"Make tea": {"<id>.mp4": {"clip": true,
"v_duration": s, "bounds": [s, e], "steps": [{"heading": ..., "absolute_bounds": [s, e]}]}}}`. Two
kinds of question come of it: the prompt's moment, and each step's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import group_all, split_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import UNRELEASED, clean_span, moment_branches

UNCLIPPED = "no part of the video is marked for the prompt (clip: false): left out"

_FILES = {split: f"all_data_{split}.json" for split in ("train", "val", "test")}
_HIDDEN = (0, 1)


class _Step(Released):
    heading: str
    absolute_bounds: tuple[float, float]


class _Pair(Released):
    prompt: str
    video: str
    clip: bool
    v_duration: float
    bounds: tuple[float, float]
    steps: list[_Step]

    @property
    def stem(self) -> str:
        return os.path.splitext(self.video)[0]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its prompts and steps branches.

    The answers of the test split are not released; it gives a count and no records.

    Args:
        source: The folder with the JSON files and, at any depth, the videos.
        split: `train`, `val` or `test`; all if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    videos, met = MediaFiles(root), counter(quirks)
    return split_records(
        "hirest",
        split_files(root, _FILES, split=split),
        groups=lambda path: group_all(list(_pairs(path)), key=lambda row: row.parse(_Pair).stem),
        media=lambda group: videos.ref(group.key),
        branches=lambda row, name: _branches(row, name, met),
    )


def _pairs(path: Path) -> Iterator[Row | RecordError]:
    """Yield each pair of a prompt and a video as a row of its own."""
    number = 0
    for row in Rows(path):
        if isinstance(row, RecordError):
            yield row
            continue
        if not isinstance(row.value, dict):
            yield row.error(f"got {type(row.value).__name__}; expected an object by video")
            continue
        for video, labels in row.value.items():
            number += 1
            fields = labels if isinstance(labels, dict) else {}
            value = {**fields, "prompt": row.key, "video": video}
            yield Row(value=value, path=path, number=number, key=f"{row.key}.{video}")


def _branches(row: Row, name: str, quirks: Quirks) -> Iterator[Branch]:
    pair = row.parse(_Pair)
    if not pair.clip:
        quirks[UNCLIPPED] += 1
        return
    if pair.bounds == _HIDDEN and not pair.steps:
        quirks[UNRELEASED] += 1
        return
    asked = [(pair.prompt, pair.bounds), *((s.heading, s.absolute_bounds) for s in pair.steps)]
    for number, (query, bounds) in enumerate(asked):
        if span := clean_span(*bounds, duration=pair.v_duration, quirks=quirks):
            yield from moment_branches(query, [span], name=f"{name}.{number}", quirks=quirks)
