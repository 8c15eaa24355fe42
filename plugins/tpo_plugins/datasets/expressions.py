"""Phrases for objects of videos, in the `meta_expressions.json` of MeViS and Ref-YouTube-VOS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Released, Row, Rows

RESPELT = "text with capitals or stray blanks: lower-cased, single blanks"
UNSORTED = "frames listed out of order: sorted"
OF_TEST = "video that the test split lists too: left out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """A phrase for one object or several of a video.

    Args:
        video: The video's name.
        key: The phrase's key within the video, as submissions need it.
        text: The phrase, lower-case, with single blanks.
        frames: Names of the annotated frames without suffix, sorted.
        objects: Numbers of the objects it means within the video; none where this is not released.
        annotations: Numbers of their masks, in MeViS.
    """

    video: str
    key: str
    text: str
    frames: tuple[str, ...]
    objects: tuple[int, ...] = ()
    annotations: tuple[int, ...] = ()


class _Video(Released):
    frames: list[str] = Field(min_length=1)
    expressions: dict[str, Any]


class _Expression(Released):
    exp: str
    obj_id: list[int] | int = Field(default_factory=list)
    anno_id: list[int] = Field(default_factory=list)


def read_expressions(
    path: Path, *, quirks: Quirks, without: Collection[str] = ()
) -> Iterator[Group | RecordError]:
    """Yield the phrases of each video, one row a phrase, its value an `Expression`.

    Args:
        path: A `meta_expressions.json`.
        quirks: Filled.
        without: Videos to leave out.

    Raises:
        InputError: If the file cannot be read.
    """
    for row in Rows(path, under="videos"):
        if isinstance(row, RecordError):
            yield row
        elif row.key in without:
            quirks[OF_TEST] += 1
        else:
            yield from _of_video(row, quirks)


def tidy(text: str, *, quirks: Quirks) -> str:
    """Return a phrase as the datasets' own loaders read it: lower-case, with single blanks."""
    plain = " ".join(text.lower().split())
    if plain != text:
        quirks[RESPELT] += 1
    return plain


def _of_video(row: Row, quirks: Quirks) -> Iterator[Group | RecordError]:
    try:
        video = row.parse(_Video)
    except RecordError as error:
        yield error
        return
    frames = tuple(sorted(video.frames))
    if frames != tuple(video.frames):
        quirks[UNSORTED] += 1
    rows: list[Row] = []
    for key, value in video.expressions.items():
        place = replace(row, value=value, key=f"{row.key}.expressions.{key}")
        try:
            found = place.parse(_Expression)
        except RecordError as error:
            yield error
            continue
        text = tidy(found.exp, quirks=quirks)
        if not text.strip(" ."):
            yield place.error("the phrase is blank; expected what it describes", field="exp")
            continue
        ids = found.obj_id if isinstance(found.obj_id, list) else [found.obj_id]
        expression = Expression(
            video=row.key,
            key=key,
            text=text,
            frames=frames,
            objects=tuple(ids),
            annotations=tuple(found.anno_id),
        )
        rows.append(replace(place, value=expression))
    yield Group(key=row.key, rows=rows)
