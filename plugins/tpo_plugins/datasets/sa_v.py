"""SA-V: masklets of single objects, without text (SAM 2, arXiv 2408.00714).

As released: for training `<id>.mp4` beside `<id>_manual.json` and, for most, `<id>_auto.json`; for
validation and test a list of videos, `JPEGImages_24fps/<id>/<frame>.jpg` and
`Annotations_6fps/<id>/<object>/<frame>.png`. Every fourth frame is annotated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.files import data_folder, split_files
from tpo_plugins.datasets.frame_folders import frame_folder
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.masks import Mask, area, empty, encode, read_labels, read_rle
from tpo_plugins.datasets.objects import ask_by_box, first_box, mask_target
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row
from tpo_plugins.datasets.text import text_lines

Masklets = Literal["manual", "auto", "both"]

STEP = 4
"""Annotation i belongs to frame `STEP` * i."""

FPS = 24.0
"""Frames a second of the validation and test videos; training videos are files with times."""

EMPTY = "mask of no pixel: the object is not visible"
NULL = "null in place of a mask: an empty mask, the object is not visible"
FLOATS = "height, width or frame count written as a float: read as whole"
NO_AUTO = "video without automatic masklets: only the manual ones, if asked for"

_LISTS = {"val": "sav_val.txt", "test": "sav_test.txt"}


class _Video(Released):
    video_frame_count: int = Field(gt=0)
    video_height: int = Field(gt=0)
    video_width: int = Field(gt=0)
    masklet: list[list[Any]]


def read(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    masklets: Masklets = "manual",
    quirks: Quirks | None = None,
) -> Iterator[Record | RecordError]:
    """Yield a record a video, a branch an object: its box where it is first visible asks for it.

    Args:
        source: The folder that holds the videos and their annotations, at any depth.
        split: `train`, `val` or `test`; those that are there if None.
        masklets: Which annotations of training videos; automatic ones may overlap manual ones.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If the split, or without one any of them, is not there.
    """
    root, found = data_folder(source), counter(quirks)
    if split is not None and split not in ("train", *_LISTS):
        raise UnknownName("split", split, ("train", *_LISTS))
    parts: list[Iterator[Record | RecordError]] = []
    files = sorted(root.rglob("*_manual.json")) if split in (None, "train") else []
    if files:
        parts.append(_train(root, files, masklets, found))
    elif split == "train":
        raise InputError(f"no <id>_manual.json was found below {root}; give SA-V's train folder")
    if split != "train":
        try:
            lists = split_files(root, _LISTS, split=split)
        except InputError:
            if split is not None or not files:
                raise
            lists = {}
        parts += [_listed(root, name, file, found) for name, file in lists.items()]
    return chain(*parts)


def _train(
    root: Path, files: Sequence[Path], masklets: Masklets, quirks: Quirks
) -> Iterator[Record | RecordError]:
    def groups() -> Iterator[Group | RecordError]:
        for file in files:
            video = file.name.removesuffix("_manual.json")
            chosen = [file] if masklets != "auto" else []
            if masklets != "manual":
                auto = file.with_name(f"{video}_auto.json")
                if auto.is_file():
                    chosen.append(auto)
                else:
                    quirks[NO_AUTO] += 1
            found = [item for each in chosen for item in _objects(each, quirks)]
            yield from (item for item in found if isinstance(item, RecordError))
            if rows := [item for item in found if isinstance(item, Row)]:
                yield Group(key=video, rows=rows)

    def media(group: Group) -> MediaRef:
        path = group.rows[0].path.with_name(f"{group.key}.mp4").relative_to(root)
        return MediaRef(type="video", path=path.as_posix())

    def branches(row: Row, name: str) -> Iterable[Branch]:
        return [_branch(row.value, row, name)]

    return group_records(groups(), prefix="sa_v/train", media=media, branches=branches)


def _objects(file: Path, quirks: Quirks) -> Iterator[Row | RecordError]:
    """Yield a row for each object of an annotation file, its value the masks by frame number."""
    row = Row(value=None, path=file, number=1)
    try:
        row = replace(row, value=_load(row))
        video = row.parse(_Video)
        objects = _object_count(video, row)
    except RecordError as error:
        yield error
        return
    sides = ("video_height", "video_width", "video_frame_count")
    if any(isinstance(row.value[side], float) for side in sides):
        quirks[FLOATS] += 1
    size = video.video_height, video.video_width
    for number in range(objects):
        place = replace(row, key=f"masklet.*.{number}")
        try:
            with at_row(place):
                masks = {
                    STEP * index: _mask(frame[number], size, quirks)
                    for index, frame in enumerate(video.masklet)
                }
        except RecordError as error:
            yield error
        else:
            yield replace(place, value=masks)


def _object_count(video: _Video, row: Row) -> int:
    counts = sorted({len(frame) for frame in video.masklet})
    most = -(-video.video_frame_count // STEP)
    if len(counts) != 1 or len(video.masklet) > most:
        raise row.error(
            f"there are {len(video.masklet)} annotated frames of {counts} objects; expected at "
            f"most {most} frames, all of as many objects",
            field="masklet",
        )
    return counts[0]


def _mask(item: Any, size: tuple[int, int], quirks: Quirks) -> Mask:
    if item is None:
        quirks[NULL] += 1
        return empty(size)
    mask = read_rle(item, size=size)
    if area(mask) == 0:
        quirks[EMPTY] += 1
    return mask


def _load(row: Row) -> Any:
    try:
        return json.loads(row.path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise row.error(f"the file cannot be read as JSON ({error}); get it again") from error


def _listed(root: Path, split: str, file: Path, quirks: Quirks) -> Iterator[Record | RecordError]:
    """Yield the records of a list of videos whose frames and masks are pictures."""
    pictures, annotations = file.parent / "JPEGImages_24fps", file.parent / "Annotations_6fps"

    def groups() -> Iterator[Group | RecordError]:
        for row in text_lines(file):
            if isinstance(row, RecordError):
                yield row
                continue
            video = row.value.strip()
            objects = sorted(path for path in (annotations / video).glob("*") if path.is_dir())
            if not objects:
                yield row.error(f"{annotations / video} holds no folder of masks; get it again")
                continue
            rows = [replace(row, value=each, key=f"{video}/{each.name}") for each in objects]
            yield Group(key=video, rows=rows)

    def media(group: Group) -> MediaRef:
        path = (pictures / group.key).relative_to(root).as_posix()
        return MediaRef(type="video", path=path, fps=FPS)

    def branches(row: Row, name: str) -> Iterable[Branch]:
        folder: Path = row.value
        files = {file.stem: file for file in folder.glob("*.png")}
        with at_row(row):
            frames = frame_folder(pictures / folder.parent.name, files, quirks=counter(None))
            masks = {
                int(stem): encode(read_labels(file, size=frames.size) != 0)
                for stem, file in files.items()
            }
        if nowhere := sum(area(mask) == 0 for mask in masks.values()):
            quirks[EMPTY] += nowhere
        return [_branch(masks, row, name)]

    return group_records(groups(), prefix=f"sa_v/{split}", media=media, branches=branches)


def _branch(masks: dict[int, Mask], row: Row, name: str) -> Branch:
    with at_row(row):
        target = mask_target(masks)
        number, box = first_box(masks)
        return ask_by_box(box, number, target, name=name)
