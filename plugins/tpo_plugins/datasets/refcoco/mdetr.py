"""MDETR's files: COCO's layout with one entry of `images` for each sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_plugins.datasets.boxes import corners
from tpo_plugins.datasets.files import find_optional
from tpo_plugins.datasets.grouping import Group, group_all
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.refcoco.phrase import SPLITS, Annotation, Dataset, Phrase
from tpo_plugins.datasets.rows import Released, Row, Rows


class _Sentence(Released):
    id: int
    caption: str
    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


def mdetr_phrases(
    root: Path, dataset: Dataset, *, split: str | None, quirks: Quirks
) -> dict[str, Iterator[Group | RecordError]]:
    """Read `finetune_<dataset>_<split>.json`; see `Style`."""
    files = {
        name: find_optional(root, f"finetune_{dataset}_{name}.json")
        for name in SPLITS[dataset]
        if split in (None, name)
    }
    return {name: _groups(file) for name, file in files.items() if file is not None}


def _groups(file: Path) -> Iterator[Group | RecordError]:
    annotations = _by_sentence(file)
    for group in group_all(Rows(file, under="images"), key=_picture):
        if isinstance(group, RecordError):
            yield group
            continue
        rows: list[Row] = []
        for row in group.rows:
            try:
                rows.append(replace(row, value=_phrase(row, annotations)))
            except RecordError as error:
                yield error
        if rows:
            yield Group(key=PurePosixPath(group.key).stem, rows=rows)


def _picture(row: Row) -> str:
    return row.parse(_Sentence).file_name


def _by_sentence(file: Path) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in Rows(file, under="annotations"):
        if isinstance(row, Row) and isinstance(row.value, dict):
            found.setdefault(row.value.get("image_id"), []).append(row)
    return found


def _phrase(row: Row, annotations: dict[Any, list[Row]]) -> Phrase:
    sentence = row.parse(_Sentence)
    labels = annotations.get(sentence.id, [])
    if len(labels) != 1:
        raise row.error(f"there are {len(labels)} annotations of the sentence; expected one")
    label = labels[0].parse(Annotation)
    return Phrase(
        picture=PurePosixPath(sentence.file_name).name,
        size=(sentence.height, sentence.width),
        text=sentence.caption,
        box=corners(label.bbox),
        segmentation=label.segmentation,
    )
