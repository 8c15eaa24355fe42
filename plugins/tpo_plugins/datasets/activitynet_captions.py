"""ActivityNet Captions: sentences about moments of YouTube videos.

A JSON object by video: `{"v_<id>": {"duration": s, "timestamps": [[s, e]], "sentences": [...]}}`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import group_consecutive, split_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import check_aligned, clean_span, moment_branches

# Some copies call the two validation files, by different annotators, val and test.
_FILES = {
    "train": ("train.json",),
    "val_1": ("val_1.json", "val.json"),
    "val_2": ("val_2.json", "test.json"),
}


class _Video(Released):
    duration: float
    timestamps: list[tuple[float, float]]
    sentences: list[str]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its sentences branches.

    Args:
        source: The folder with the JSON files and, at any depth, the videos `v_<id>.*`.
        split: `train`, `val_1` or `val_2`; all if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    videos, met = MediaFiles(root), counter(quirks)
    return split_records(
        "activitynet_captions",
        split_files(root, _FILES, split=split),
        groups=lambda path: group_consecutive(Rows(path), key=lambda row: row.key),
        media=lambda group: videos.ref(group.key),
        branches=lambda row, name: _branches(row, name, met),
    )


def _branches(row: Row, name: str, quirks: Quirks) -> Iterator[Branch]:
    video = row.parse(_Video)
    check_aligned(row, timestamps=len(video.timestamps), sentences=len(video.sentences))
    for number, (times, sentence) in enumerate(zip(video.timestamps, video.sentences, strict=True)):
        if span := clean_span(*times, duration=video.duration, quirks=quirks):
            yield from moment_branches(sentence, [span], name=f"{name}.{number}", quirks=quirks)
