"""JSONL files of one sentence a line: those of Qwen-VL and InternVL, and those of Shikra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import AliasChoices, Field

from tpo_core.errors import RecordError
from tpo_plugins.datasets.files import find_optional
from tpo_plugins.datasets.grouping import Group, group_all
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.refcoco.phrase import SPLITS, Dataset, Phrase
from tpo_plugins.datasets.rows import Released, Row, Rows

OTHERS = "line about another of the three datasets: left out"

_SHIKRA_TRAIN = "REC_ref3_train.jsonl"


class _Line(Released):
    picture: str = Field(validation_alias=AliasChoices("image", "img_path"))
    text: str = Field(validation_alias=AliasChoices("sent", "expression"))
    bbox: tuple[float, float, float, float]
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    dataset_name: str = ""


def qwen_vl_phrases(
    root: Path, dataset: Dataset, *, split: str | None, quirks: Quirks
) -> dict[str, Iterator[Group | RecordError]]:
    """Read `<dataset>_<split>.jsonl`; see `Style`."""
    return _of_files(root, dataset, ("{dataset}_{split}.jsonl",), split=split, quirks=quirks)


def shikra_phrases(
    root: Path, dataset: Dataset, *, split: str | None, quirks: Quirks
) -> dict[str, Iterator[Group | RecordError]]:
    """Read `REC_<dataset>_<split>.jsonl`; see `Style`.

    The way to split may stand between (`REC_refcocog_umd_test.jsonl`), and `REC_ref3_train.jsonl`
    holds the training data of all three datasets, told apart by `dataset_name`.
    """
    names = tuple(f"REC_{{dataset}}{by}_{{split}}.jsonl" for by in ("", "_unc", "_umd", "_google"))
    found = _of_files(root, dataset, names, split=split, quirks=quirks)
    together = find_optional(root, _SHIKRA_TRAIN) if split in (None, "train") else None
    if together is not None and "train" not in found:
        found = {"train": _groups(together, dataset, quirks), **found}
    return found


def _of_files(
    root: Path, dataset: Dataset, names: tuple[str, ...], *, split: str | None, quirks: Quirks
) -> dict[str, Iterator[Group | RecordError]]:
    found = {}
    for each in SPLITS[dataset]:
        if split in (None, each):
            options = (name.format(dataset=dataset, split=each) for name in names)
            if file := find_optional(root, *options):
                found[each] = _groups(file, dataset, quirks)
    return found


def _groups(file: Path, dataset: Dataset, quirks: Quirks) -> Iterator[Group | RecordError]:
    def picture(row: Row) -> str:
        return row.parse(_Line).picture

    for group in group_all(Rows(file), key=picture):
        if isinstance(group, RecordError):
            yield group
            continue
        rows: list[Row] = []
        for row in group.rows:
            line = row.parse(_Line)
            if line.dataset_name and line.dataset_name.split("_")[0] != dataset:
                quirks[OTHERS] += 1
                continue
            phrase = Phrase(
                picture=PurePosixPath(line.picture).name,
                size=(line.height, line.width),
                text=line.text,
                box=line.bbox,
            )
            rows.append(replace(row, value=phrase))
        if rows:
            yield Group(key=PurePosixPath(group.key).stem, rows=rows)
