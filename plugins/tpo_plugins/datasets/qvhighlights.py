"""QVHighlights: moments and highlights of 150-second videos.

A video is `<YouTube id>_<start>_<end>.mp4`. The test split without labels gives no records, only a
count; where the file with labels is there too, it is read instead. The speech-recognised rows made
for pretraining (`subs_train`) are read only if that split is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.windows import window_records

_FILES = {
    "train": ("highlight_train_release.jsonl",),
    "val": ("highlight_val_release.jsonl",),
    "test": ("highlight_test_with_gt.jsonl", "highlight_test_release.jsonl"),
}
_PRETRAINING = {"subs_train": ("subs_train.jsonl",)}


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video; each query is a branch, with the saliency of every 2-second clip.

    Args:
        source: The folder with the JSONL files and, at any depth, the videos.
        split: `train`, `val`, `test` or `subs_train`; the first three if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    names = _FILES if split is None else _FILES | _PRETRAINING
    return _records(root, split_files(root, names, split=split), counter(quirks))


def _records(root: Path, files: dict[str, Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    videos = MediaFiles(root)
    for split, path in files.items():
        yield from window_records(
            path, prefix=f"qvhighlights/{split}", media=videos.ref, quirks=quirks
        )
