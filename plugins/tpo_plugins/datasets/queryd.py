"""QuerYD: spoken descriptions of moments of YouTube videos, transcribed by speech recognition.

Two pickles, read without running what is in them, give each video's captions (each a list of words)
and their times in seconds in the same order; text files list the videos of each split. A video's
key is `video-` and its YouTube id. Lengths of videos are not released: a span is cut at the end of
its video if that is there, and left as it is if not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.durations import video_seconds
from tpo_plugins.datasets.files import MediaFiles, data_folder, find_file, split_files
from tpo_plugins.datasets.grouping import group_consecutive, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row
from tpo_plugins.datasets.temporal import (
    UNTIMED,
    check_aligned,
    clean_span,
    moment_branches,
)
from tpo_plugins.datasets.text import text_lines
from tpo_plugins.datasets.unpickle import load_pickle

_PREFIX = "video-"
_FILES = {split: f"{split}_list.txt" for split in ("train", "val", "test")}


class _Video(Released):
    captions: list[list[str]]
    times: list[tuple[float, float]]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its descriptions branches.

    Args:
        source: The folder with the lists, the pickles (version 2, or version 1 if that is all there
            is) and, at any depth, the videos `<YouTube id>.*`.
        split: `train`, `val` or `test`; all whose list is there if None.
        quirks: Filled.

    Raises:
        InputError: A file is missing, or a pickle asks for more than plain data.
    """
    root = data_folder(source)
    files = split_files(root, _FILES, split=split)
    captions, times = (_pickled(root, name) for name in ("raw_captions", "times_captions"))
    return _records(root, files, captions, times, counter(quirks))


def _pickled(root: Path, name: str) -> Mapping[str, Any]:
    path = find_file(root, f"{name}_combined_filtered-v2.pkl", f"{name}_combined_filtered.pkl")
    found = load_pickle(path)
    if not isinstance(found, Mapping):
        raise InputError(f"{path} holds a {type(found).__name__}; expected a dict by video")
    return found


def _records(
    root: Path,
    files: dict[str, Path],
    captions: Mapping[str, Any],
    times: Mapping[str, Any],
    quirks: Quirks,
) -> Iterator[Record | RecordError]:
    videos = MediaFiles(root)

    def rows(path: Path) -> Iterator[Row | RecordError]:
        for line in text_lines(path):
            if isinstance(line, RecordError):
                yield line
                continue
            key = line.value.strip()
            missing = [
                name for name, of in (("captions", captions), ("times", times)) if key not in of
            ]
            if missing:
                yield line.error(f"the pickle of the {missing[0]} has no {key!r}", field=key)
            else:
                value = {"captions": captions[key], "times": times[key]}
                yield Row(value=value, path=path, number=line.number, key=key)

    def branches(row: Row, name: str) -> Iterator[Branch]:
        video = row.parse(_Video)
        check_aligned(row, captions=len(video.captions), times=len(video.times))
        path = videos.find(_stem(row.key))
        duration = video_seconds(root / path) if path else None
        for number, (words, span) in enumerate(zip(video.captions, video.times, strict=True)):
            if duration is None:
                quirks[UNTIMED] += 1
            if kept := clean_span(*span, duration=duration, quirks=quirks):
                yield from moment_branches(
                    " ".join(words), [kept], name=f"{name}.{number}", quirks=quirks
                )

    for split, path in files.items():
        yield from group_records(
            group_consecutive(rows(path), key=lambda row: row.key),
            prefix=f"queryd/{split}",
            media=lambda group: videos.ref(_stem(group.key)),
            branches=branches,
        )


def _stem(key: str) -> str:
    return key.removeprefix(_PREFIX)
