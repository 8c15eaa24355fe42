"""GOT-10k: one object's boxes through short videos (arXiv 1810.11981).

As released: `{train,val,test}/list.txt` and `<split>/<sequence>/` with `<8 digits from 1>.jpg`,
`groundtruth.txt`, `absence.label`, `cover.label`, `cut_by_image.label` and `meta_info.ini`; of test
sequences the first box alone is released.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.files import data_folder, split_files
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.text import text_lines
from tpo_plugins.datasets.tracking import ask_to_follow
from tpo_plugins.datasets.tracks import Track, read_boxes, read_flags

FPS = 10.0
"""Frames a second where `meta_info.ini` does not say."""

EXCLUDED = "sequence in got10k_vot_exclude.txt: left out"
FIRST_ONLY = "test sequence, of which the first box alone is released: no further label"

_LISTS = {split: f"{split}/list.txt" for split in ("train", "val", "test")}
_FPS = re.compile(r"^anno_fps:\s*([\d.]+)", re.MULTILINE)
_EXCLUDE = "got10k_vot_exclude.txt"


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield a record a sequence: its object is asked for by its first box.

    A `got10k_vot_exclude.txt` in the folder, pytracking's list of 1,000 training sequences that the
    VOT challenge rules out, is heeded.

    Args:
        source: The folder that holds `train`, `val` and `test`.
        split: One of these; those that are there if None.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If the split's list is missing, or without `split` all of them are.
    """
    root, found = data_folder(source), counter(quirks)
    lists = split_files(root, _LISTS, split=split)
    return chain(*(_split(root, name, file, found) for name, file in lists.items()))


def read_track(folder: Path) -> Track:
    """Read a sequence's boxes and flags as released; absent is flagged so, or not covered at all.

    Raises:
        InputError: If a file is missing or malformed, or they are of several lengths.
    """
    boxes = read_boxes(folder / "groundtruth.txt")
    if not (folder / "absence.label").is_file() and len(boxes) == 1:
        return Track(boxes=boxes, absent=np.zeros(1, np.bool_))
    absence, cover = (read_flags(folder / f"{name}.label") for name in ("absence", "cover"))
    if not len(boxes) == len(absence) == len(cover):
        raise InputError(
            f"{folder} has {len(boxes)} boxes but {len(absence)} flags of absence and {len(cover)} "
            "of cover; expected one each a frame"
        )
    return Track(boxes=boxes, absent=(absence != 0) | (cover == 0))


def _split(root: Path, split: str, file: Path, quirks: Quirks) -> Iterator[Record | RecordError]:
    excluded = _excluded(root) if split == "train" else frozenset()

    def groups() -> Iterator[Group | RecordError]:
        for row in text_lines(file):
            if isinstance(row, RecordError):
                yield row
            elif (name := row.value.strip()) in excluded:
                quirks[EXCLUDED] += 1
            else:
                yield Group(key=name, rows=[row])

    def media(group: Group) -> MediaRef:
        folder = file.parent / group.key
        path = folder.relative_to(root).as_posix()
        return MediaRef(type="video", path=path, fps=_fps(folder / "meta_info.ini"))

    def branches(row: Row, name: str) -> Iterable[Branch]:
        folder = file.parent / row.value.strip()
        with at_row(row):
            track = read_track(folder)
            if len(track.boxes) == 1:
                quirks[FIRST_ONLY] += 1
            return ask_to_follow(track, folder, name=name, quirks=quirks)

    return group_records(groups(), prefix=f"got10k/{split}", media=media, branches=branches)


def _excluded(root: Path) -> frozenset[str]:
    """Return the names of the training sequences to leave out."""
    file = root / _EXCLUDE
    return frozenset(file.read_text(encoding="utf-8").split()) if file.is_file() else frozenset()


def _fps(file: Path) -> float:
    """Return the frames a second that a sequence's `meta_info.ini` gives, such as `10Hz`."""
    if not file.is_file():
        return FPS
    match = _FPS.search(file.read_text(encoding="utf-8", errors="replace"))
    return float(match[1]) if match else FPS
