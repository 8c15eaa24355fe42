"""Ego4D NLQ: when an egocentric clip of about eight minutes answers a question in natural language.

Files hold videos, their clips, annotations, and questions. A question is known by its clip, its
annotation and its number there, so numbers of questions without text stay used. The JSONL layout of
QVHighlights is read as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import group_consecutive, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import UNRELEASED, WORDLESS, clean_span, moment_branches
from tpo_plugins.datasets.windows import window_records

WHOLE = "clip is not there but its whole video is: times of the video used"

_FILES = {
    "train": ("nlq_train.json", "nlq_train.jsonl"),
    "val": ("nlq_val.json", "nlq_val.jsonl"),
    "test": ("nlq_test_unannotated.json",),
}


class _Query(Released):
    query: str | None = None
    clip_start_sec: float | None = None
    clip_end_sec: float | None = None
    video_start_sec: float | None = None
    video_end_sec: float | None = None


class _Annotation(Released):
    annotation_uid: str
    language_queries: list[_Query]


class _Clip(Released):
    video_uid: str
    clip_uid: str
    video_start_sec: float
    video_end_sec: float
    annotations: list[_Annotation]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a clip, its questions branches.

    Args:
        source: The folder with the JSON files and, at any depth, the clips `<clip_uid>.mp4`, or in
            place of a clip its whole video `<video_uid>.mp4`.
        split: `train`, `val` or `test`, which has no answers and gives a count only; all if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    return _records(root, split_files(root, _FILES, split=split), counter(quirks))


def _records(root: Path, files: dict[str, Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    videos = MediaFiles(root)

    def whole(clip: _Clip) -> bool:
        return not videos.find(clip.clip_uid) and bool(videos.find(clip.video_uid))

    def branches(row: Row, name: str) -> Iterator[Branch]:
        clip = row.parse(_Clip)
        yield from _branches(clip, name, quirks, whole=whole(clip))

    for split, path in files.items():
        prefix = f"ego4d_nlq/{split}"
        if path.suffix == ".jsonl":
            yield from window_records(path, prefix=prefix, media=videos.ref, quirks=quirks)
            continue
        yield from group_records(
            group_consecutive(_clips(path), key=lambda row: row.parse(_Clip).clip_uid),
            prefix=prefix,
            media=lambda group: videos.ref(group.key, group.rows[0].parse(_Clip).video_uid),
            branches=branches,
        )


def _clips(path: Path) -> Iterator[Row | RecordError]:
    """Yield each clip of each video as a row of its own."""
    number = 0
    for row in Rows(path, under="videos"):
        if isinstance(row, RecordError):
            yield row
            continue
        video = row.value if isinstance(row.value, dict) else {}
        clips = video.get("clips")
        if not isinstance(clips, list) or not all(isinstance(clip, dict) for clip in clips):
            yield row.error("there is no list of clips; expected the layout of Ego4D NLQ")
            continue
        for place, clip in enumerate(clips):
            number += 1
            value = {**clip, "video_uid": video.get("video_uid")}
            yield Row(value=value, path=path, number=number, key=f"{row.key}.clips[{place}]")


def _branches(clip: _Clip, name: str, quirks: Quirks, *, whole: bool) -> Iterator[Branch]:
    duration = None if whole else clip.video_end_sec - clip.video_start_sec
    if whole:
        quirks[WHOLE] += 1
    for annotation in clip.annotations:
        for number, query in enumerate(annotation.language_queries):
            start = query.video_start_sec if whole else query.clip_start_sec
            end = query.video_end_sec if whole else query.clip_end_sec
            if not query.query or not query.query.strip():
                quirks[WORDLESS] += 1
            elif start is None or end is None:
                quirks[UNRELEASED] += 1
            elif span := clean_span(start, end, duration=duration, quirks=quirks):
                place = f"{name}.{annotation.annotation_uid}.{number}"
                yield from moment_branches(query.query, [span], name=place, quirks=quirks)
