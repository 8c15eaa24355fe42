"""Charades-STA: moments of everyday activities; one sentence and one span a line.

A line reads `AB12C 3.4 9.0##person opens a box.`; the lengths of the videos are in the CSV files of
Charades. The JSONL layout of QVHighlights is read as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, find_optional, split_files
from tpo_plugins.datasets.grouping import group_all, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.temporal import UNTIMED, clean_span, moment_branches
from tpo_plugins.datasets.text import csv_rows, text_lines
from tpo_plugins.datasets.windows import window_records

_FILES = {
    split: (
        f"charades_sta_{split}.txt",
        f"charades_sta_{split}_tvr_format.jsonl",
        f"charades_{split}_release.jsonl",
    )
    for split in ("train", "test")
}
_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+)")


def read(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    quirks: Quirks | None = None,
    clip: bool = True,
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its sentences branches.

    Args:
        source: The folder with the text files, `Charades_v1_<split>.csv` and, at any depth, the
            videos.
        split: `train` or `test`; both if None.
        quirks: Filled.
        clip: Whether a span is cut at the end of the video. Benchmarks score against the times as
            they are in the text file.

    Raises:
        InputError: The folder or the text file is missing, or a CSV file lacks a column.
    """
    root = data_folder(source)
    return _records(root, split_files(root, _FILES, split=split), counter(quirks), clip=clip)


def _records(
    root: Path, files: dict[str, Path], quirks: Quirks, *, clip: bool
) -> Iterator[Record | RecordError]:
    videos = MediaFiles(root)
    for split, path in files.items():
        prefix = f"charades_sta/{split}"
        if path.suffix == ".jsonl":
            yield from window_records(path, prefix=prefix, media=videos.ref, quirks=quirks)
            continue
        lengths: dict[str, float] = {}
        for row in _length_rows(root, split) if clip else ():
            if isinstance(row, RecordError):
                yield row
            else:
                lengths[row.value["id"]] = float(row.value["length"])

        def branches(
            row: Row, name: str, lengths: Mapping[str, float] = lengths
        ) -> Iterator[Branch]:
            video, start, end, sentence = _parts(row)
            duration = lengths.get(video)
            if clip and duration is None:
                quirks[UNTIMED] += 1
            if span := clean_span(start, end, duration=duration, quirks=quirks):
                yield from moment_branches(sentence, [span], name=name, quirks=quirks)

        yield from group_records(
            group_all(list(text_lines(path)), key=lambda row: _parts(row)[0]),
            prefix=prefix,
            media=lambda group: videos.ref(group.key),
            branches=branches,
        )


def _length_rows(root: Path, split: str) -> Iterator[Row | RecordError]:
    """Yield the rows of the CSV file with the videos' lengths in seconds; none if it is missing."""
    path = find_optional(root, f"Charades_v1_{split}.csv")
    if path is None:
        return
    for row in csv_rows(path, columns=("id", "length")):
        if isinstance(row, Row) and not re.fullmatch(r"\d+(\.\d+)?", row.value["length"]):
            yield row.error(f"{row.value['length']!r} is no length in seconds", field="length")
        else:
            yield row


def _parts(row: Row) -> tuple[str, float, float, str]:
    """Return video, start and end in seconds, and sentence of a line."""
    place, *sentences = row.value.split("##")
    match = _LINE.fullmatch(place.strip())
    try:
        if match and len(sentences) == 1:
            return match[1], float(match[2]), float(match[3]), sentences[0]
    except ValueError:
        pass
    raise row.error(f"{row.value!r} is no line of the form 'VIDEO start end##sentence'")
