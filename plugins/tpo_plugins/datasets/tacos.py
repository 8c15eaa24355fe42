"""TACoS: sentences about moments of cooking videos, their times in frames.

A JSON object by video: `{"s17-d69.avi": {"timestamps": [[f0, f1]], "sentences": [...], "fps": ...,
"num_frames": ...}}`. The JSONL layout of QVHighlights, in seconds, is read as well.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import group_consecutive, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import check_aligned, clean_span, moment_branches
from tpo_plugins.datasets.windows import window_records

REPEATED = "sentence repeated in a video by several annotators: kept"

_FILES = {
    split: (f"{split}.json", f"tacos_{split}_release.jsonl", f"tacos_{split}.jsonl")
    for split in ("train", "val", "test")
}


class _Video(Released):
    timestamps: list[tuple[float, float]]
    sentences: list[str]
    fps: float = Field(gt=0)
    num_frames: int


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its sentences branches, frames turned into seconds.

    Args:
        source: The folder with the JSON files and, at any depth, the videos `<key>-cam-002.*`.
        split: `train`, `val` or `test`; all if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    return _records(root, split_files(root, _FILES, split=split), counter(quirks))


def _records(root: Path, files: dict[str, Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    videos = MediaFiles(root)

    def media(key: str) -> MediaRef:
        stem = key.removesuffix(".avi")
        return videos.ref(f"{stem}-cam-002", stem, default=f"{stem}-cam-002.avi")

    for split, path in files.items():
        prefix = f"tacos/{split}"
        if path.suffix == ".jsonl":
            yield from window_records(path, prefix=prefix, media=media, quirks=quirks)
            continue
        yield from group_records(
            group_consecutive(Rows(path), key=lambda row: row.key),
            prefix=prefix,
            media=lambda group: media(group.key),
            branches=lambda row, name: _branches(row, name, quirks),
        )


def _branches(row: Row, name: str, quirks: Quirks) -> Iterator[Branch]:
    video = row.parse(_Video)
    check_aligned(row, timestamps=len(video.timestamps), sentences=len(video.sentences))
    if repeated := sum(count - 1 for count in Counter(video.sentences).values()):
        quirks[REPEATED] += repeated
    duration = video.num_frames / video.fps
    for number, ((first, last), sentence) in enumerate(
        zip(video.timestamps, video.sentences, strict=True)
    ):
        span = clean_span(first / video.fps, last / video.fps, duration=duration, quirks=quirks)
        if span:
            yield from moment_branches(sentence, [span], name=f"{name}.{number}", quirks=quirks)
