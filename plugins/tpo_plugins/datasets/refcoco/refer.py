"""REFER's files: a pickle of references and COCO's annotations of their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath

from pydantic import Field

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_plugins.datasets.boxes import corners
from tpo_plugins.datasets.files import find_file, find_optional
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.refcoco.phrase import Annotation, Dataset, Phrase
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.unpickle import load_pickle

RENAMED = "file name with the number of an annotation: that of the table of pictures taken"

_SPLIT_BY = {"refcoco": ("unc", "google"), "refcoco+": ("unc",), "refcocog": ("umd", "google")}


class _Sentence(Released):
    sent: str


class _Reference(Released):
    ann_id: int
    image_id: int
    split: str
    file_name: str
    sentences: list[_Sentence] = Field(min_length=1)


class _Picture(Released):
    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


_Placed = tuple[Row, _Reference]


def refer_phrases(
    root: Path, dataset: Dataset, *, split: str | None, quirks: Quirks
) -> dict[str, Iterator[Group | RecordError]]:
    """Read `<dataset>/refs(<by>).p` and `<dataset>/instances.json`; see `Style`.

    Of several ways to split, unc is preferred for RefCOCO and umd for RefCOCOg. As in REFER's own
    code `testA` takes every split with an A in its name, and `test` every one with `test` in it.

    Raises:
        InputError: If the pickle is damaged or holds more than plain data, or `instances.json` is
            missing.
        UnknownName: If no reference is of the split.
    """
    pickles = [f"refs({by}).p" for by in _SPLIT_BY[dataset]]
    beside = pickles if root.name == dataset else []
    file = find_optional(root, *(f"{dataset}/{name}" for name in pickles), *beside)
    if file is None:
        return {}
    references = load_pickle(file)
    if not isinstance(references, list):
        raise InputError(f"{file} holds a {type(references).__name__}; expected a list")
    by_split: dict[str, list[_Placed]] = {}
    errors: list[RecordError] = []
    for index, value in enumerate(references):
        row = Row(value=value, path=file, number=index + 1, key=f"[{index}]")
        try:
            found = row.parse(_Reference)
        except RecordError as error:
            errors.append(error)
        else:
            by_split.setdefault(found.split, []).append((row, found))
    if split is not None:
        chosen = [each for name, items in by_split.items() if _is(name, split) for each in items]
        if not chosen:
            raise UnknownName("split", split, by_split)
        by_split = {split: chosen}
    tables = _Tables(find_file(file.parent, "instances.json"))
    parts = {name: _groups(items, tables, quirks) for name, items in by_split.items()}
    first = next(iter(parts), split or "train")
    return {**parts, first: chain(errors, parts.get(first, ()))}


def _is(name: str, split: str) -> bool:
    """Tell whether REFER's code takes references of split `name` for `split`."""
    if split.startswith("test"):
        return "test" in name and split.removeprefix("test") in name.removeprefix("test")
    return name == split


class _Tables:
    """The rows of `instances.json` by the ids of pictures and annotations, read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def pictures(self) -> dict[int, Row]:
        return self._by_id("images")

    @cached_property
    def annotations(self) -> dict[int, Row]:
        return self._by_id("annotations")

    def _by_id(self, under: str) -> dict[int, Row]:
        rows = (row for row in Rows(self.path, under=under) if isinstance(row, Row))
        return {row.value["id"]: row for row in rows if "id" in row.value}


def _groups(items: list[_Placed], tables: _Tables, quirks: Quirks) -> Iterator[Group | RecordError]:
    by_picture: dict[int, list[_Placed]] = {}
    for row, reference in items:
        by_picture.setdefault(reference.image_id, []).append((row, reference))
    for each in by_picture.values():
        rows: list[Row] = []
        for row, reference in each:
            try:
                rows += _phrases(row, reference, tables, quirks)
            except RecordError as error:
                yield error
        if rows:
            yield Group(key=PurePosixPath(rows[0].value.picture).stem, rows=rows)


def _phrases(row: Row, reference: _Reference, tables: _Tables, quirks: Quirks) -> list[Row]:
    """Return a row for each sentence of a reference."""
    picture_row = tables.pictures.get(reference.image_id)
    annotation_row = tables.annotations.get(reference.ann_id)
    if picture_row is None:
        raise row.error(f"picture {reference.image_id} is not in {tables.path}", field="image_id")
    if annotation_row is None:
        raise row.error(f"annotation {reference.ann_id} is not in {tables.path}", field="ann_id")
    picture, annotation = picture_row.parse(_Picture), annotation_row.parse(Annotation)
    if reference.file_name != picture.file_name:
        quirks[RENAMED] += 1
    return [
        replace(
            row,
            key=f"{row.key}.sentences.{number}",
            value=Phrase(
                picture=picture.file_name,
                size=(picture.height, picture.width),
                text=sentence.sent,
                box=corners(annotation.bbox),
                segmentation=annotation.segmentation,
            ),
        )
        for number, sentence in enumerate(reference.sentences)
    ]
