"""YouCook2: cooking videos cut into steps, each described by a sentence.

A JSON object by video below `database`. The file of the test split has no sentences and is not
read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tpo_core.errors import RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, find_file
from tpo_plugins.datasets.grouping import Group, group_consecutive, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.templates import conversation
from tpo_plugins.datasets.temporal import WORDLESS, clean_span

_SUBSETS = {"train": "training", "val": "validation"}


class _Step(Released):
    segment: tuple[float, float]
    sentence: str


class _Video(Released):
    duration: float
    subset: str
    recipe_type: str
    annotations: list[_Step]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video; what happens in each of its steps is a branch.

    Args:
        source: The folder with `youcookii_annotations_trainval.json` and, at any depth, the videos
            `<id>.*`.
        split: `train` or `val`; both if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    if split is not None and split not in _SUBSETS:
        raise UnknownName("split", split, _SUBSETS)
    root = data_folder(source)
    rows = Rows(find_file(root, "youcookii_annotations_trainval.json"), under="database")
    videos = MediaFiles(root)
    met = counter(quirks)

    def media(group: Group) -> MediaRef:
        video = group.rows[0].parse(_Video)
        expected = f"raw_videos/{video.subset}/{video.recipe_type}/{group.key}.mp4"
        return videos.ref(group.key, default=expected)

    wanted = (row for row in rows if split is None or _is_of(row, _SUBSETS[split]))
    return group_records(
        group_consecutive(wanted, key=lambda row: row.key),
        prefix="youcook2",
        media=media,
        branches=lambda row, name: _branches(row, name, met),
    )


def _is_of(row: Row | RecordError, subset: str) -> bool:
    """Tell whether a row is of a subset; rows that do not say stay, to be quarantined."""
    value = row.value if isinstance(row, Row) else None
    return not isinstance(value, dict) or value.get("subset", subset) == subset


def _branches(row: Row, name: str, quirks: Quirks) -> Iterator[Branch]:
    video = row.parse(_Video)
    for number, step in enumerate(video.annotations):
        caption = " ".join(step.sentence.split())
        if not caption:
            quirks[WORDLESS] += 1
        elif span := clean_span(*step.segment, duration=video.duration, quirks=quirks):
            start, end = (f"{seconds:g}" for seconds in span)
            yield Branch(
                messages=conversation(
                    "segment_captioning", f"{name}.{number}", start=start, end=end, caption=caption
                )
            )
