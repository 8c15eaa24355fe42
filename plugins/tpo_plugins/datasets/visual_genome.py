"""Visual Genome's region descriptions: phrases for parts of pictures (arXiv 1602.07332).

`region_descriptions.json` lists the regions of each picture, `image_data.json` the pictures' sizes
and addresses; the pictures are in `VG_100K` and `VG_100K_2`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pydantic import AliasChoices, Field

from tpo_core.errors import RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.boxes import Box, Size, corners, from_xyxy, leaves_image
from tpo_plugins.datasets.files import data_folder, find_file, locate
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.objects import ask_where
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows

CUT = "box that leaves the picture: cut at its edge"
DEGENERATE = "box of at most one pixel's width or height in the picture: left out"
BLANKS = "phrase with line breaks or stray blanks: single blanks"
WORDLESS = "no phrase: left out"
REPEATED = "phrase that another region of the picture has: left out"
EXCLUDED = "picture of COCO that was to be excluded: left out"

_FOLDERS = ("", "images", "images2")


class _Picture(Released):
    image_id: int
    url: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    coco_id: int | None = None


class _Region(Released):
    x: float
    y: float
    width: float
    height: float
    phrase: str


class _Regions(Released):
    image_id: int = Field(validation_alias=AliasChoices("id", "image_id"))
    regions: list[object]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a picture is, and its size."""

    path: str
    size: Size


def read(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    without_coco: Collection[int] = (),
    quirks: Quirks | None = None,
) -> Iterator[Record | RecordError]:
    """Yield one record a picture, its regions branches: where is what the phrase describes?

    Args:
        source: The folder with the two JSON files and the folders of pictures.
        split: There is none.
        without_coco: COCO ids of pictures to leave out, such as those RefCOCO is tested on: half of
            Visual Genome's pictures are COCO's.
        quirks: Filled.

    Raises:
        InputError: The folder or a file is missing.
    """
    if split is not None:
        raise UnknownName("split", split, (), note="Visual Genome is released as a whole")
    root, met = data_folder(source), counter(quirks)
    regions = Rows(find_file(root, "region_descriptions.json"))
    pictures = Rows(find_file(root, "image_data.json"))
    return _records(root, regions, pictures, frozenset(without_coco), met)


def _records(
    root: Path, regions: Rows, pictures: Rows, without: frozenset[int], quirks: Quirks
) -> Iterator[Record | RecordError]:
    places: dict[int, _Place | None] = {}
    for item in pictures:
        try:
            if isinstance(item, RecordError):
                raise item
            picture = item.parse(_Picture)
        except RecordError as error:
            yield error
        else:
            excluded = picture.coco_id is not None and picture.coco_id in without
            places[picture.image_id] = None if excluded else _place(picture)

    def branches(row: Row, name: str) -> list[Branch]:
        text, box = row.value
        return [ask_where(text, box, name=name)]

    def media(group: Group) -> MediaRef:
        place = places[int(group.key)]
        assert place is not None, "excluded pictures have no group"
        return MediaRef(type="image", path=locate(root, place.path, folders=_FOLDERS))

    yield from group_records(
        _groups(regions, places, quirks), prefix="visual_genome", media=media, branches=branches
    )


def _place(picture: _Picture) -> _Place:
    folder = PurePosixPath(picture.url).parent.name
    return _Place(f"{folder}/{picture.image_id}.jpg", (picture.height, picture.width))


def _groups(
    regions: Rows, places: dict[int, _Place | None], quirks: Quirks
) -> Iterator[Group | RecordError]:
    """Yield the usable regions of each picture, each row's value its phrase and its box."""
    for row in regions:
        if isinstance(row, RecordError):
            yield row
            continue
        try:
            found = row.parse(_Regions)
            if found.image_id not in places:
                raise row.error(f"picture {found.image_id} is not in image_data.json", field="id")
        except RecordError as error:
            yield error
            continue
        place = places[found.image_id]
        if place is None:
            quirks[EXCLUDED] += 1
            continue
        rows: dict[str, Row] = {}
        for number, value in enumerate(found.regions):
            region = replace(row, value=value, key=f"{row.key}.regions.{number}")
            try:
                item = region.parse(_Region)
            except RecordError as error:
                yield error
                continue
            text = _tidy(item.phrase, quirks)
            if text and (box := _box(item, place.size, quirks)):
                if text.casefold() in rows:
                    quirks[REPEATED] += 1
                else:
                    rows[text.casefold()] = replace(region, value=(text, box))
        if rows:
            yield Group(key=str(found.image_id), rows=list(rows.values()))


def _tidy(text: str, quirks: Quirks) -> str:
    plain = " ".join(text.split())
    if not plain:
        quirks[WORDLESS] += 1
    elif plain != text:
        quirks[BLANKS] += 1
    return plain


def _box(region: _Region, size: Size, quirks: Quirks) -> Box | None:
    pixels = corners((region.x, region.y, region.width, region.height))
    box = from_xyxy(pixels, size)
    height, width = size
    if box is None or (box[2] - box[0]) * width <= 1.01 or (box[3] - box[1]) * height <= 1.01:
        quirks[DEGENERATE] += 1
        return None
    if leaves_image(pixels, size):
        quirks[CUT] += 1
    return box
