"""LaSOT: one object's boxes through long videos, with a sentence about it (arXiv 1809.07845).

As released: `<class>/<class>-<n>/` with `img/<8 digits from 1>.jpg`, `groundtruth.txt`,
`full_occlusion.txt`, `out_of_view.txt` and `nlp.txt`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.files import data_folder
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.tracking import ask_to_follow
from tpo_plugins.datasets.tracks import Track, read_boxes, read_flags

FPS = 30.0
"""Frames a second of LaSOT's videos."""

ORIGIN = 1.0
"""Boxes count pixels from 1, as MATLAB does."""

NO_SENTENCE = "no sentence in nlp.txt: asked for by its box alone"

_TEST_LIST = Path(__file__).parent / "lasot_test.txt"


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield a record a sequence: its object is asked for by its first box, and by the sentence.

    Args:
        source: The folder that holds the classes, or the sequences.
        split: `train` or `test` of protocol II (1,120 and 280 sequences); all if None.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If there is no sequence, or no such split.
    """
    root, found = data_folder(source), counter(quirks)
    folders = sequences(root, split=split)
    rows = (Row(value=folder, path=folder / "groundtruth.txt", number=1) for folder in folders)

    def media(group: Group) -> MediaRef:
        path = (group.rows[0].value / "img").relative_to(root).as_posix()
        return MediaRef(type="video", path=path, fps=FPS)

    return group_records(
        (Group(key=f"{_split_of(row.value)}/{row.value.name}", rows=[row]) for row in rows),
        prefix="lasot",
        media=media,
        branches=lambda row, name: _branches(row, name, found),
    )


def sequences(root: Path, *, split: str | None = None) -> list[Path]:
    """Return the folders of the sequences, sorted by class and number.

    Raises:
        InputError: If there is none, or no such split.
    """
    if split not in (None, "train", "test"):
        raise UnknownName("split", split, ("train", "test"))
    found = {
        path.parent for path in (*root.glob("*/groundtruth.txt"), *root.glob("*/*/groundtruth.txt"))
    }
    if split is not None:
        found = {path for path in found if _split_of(path) == split}
    if not found:
        what = f"no sequence of LaSOT's {split} split" if split else "no sequence of LaSOT"
        raise InputError(
            f"{what} is in {root}; expected <class>/<class>-<number>/groundtruth.txt below it"
        )
    return sorted(found, key=_class_and_number)


@cache
def test_names() -> frozenset[str]:
    """Return the names of protocol II's 280 test sequences."""
    lines = (line.split() for line in _TEST_LIST.read_text(encoding="utf-8").splitlines())
    return frozenset(f"{name}-{number}" for name, *numbers in lines for number in numbers)


def read_track(folder: Path) -> Track:
    """Read a sequence's boxes and flags as released; absent is occluded or out of view.

    Raises:
        InputError: If a file is missing or malformed, or they are of several lengths.
    """
    boxes = read_boxes(folder / "groundtruth.txt")
    flags = [read_flags(folder / name) for name in ("full_occlusion.txt", "out_of_view.txt")]
    lengths = [len(each) for each in flags]
    if set(lengths) != {len(boxes)}:
        raise InputError(
            f"{folder} has {len(boxes)} boxes but {lengths[0]} flags of occlusion and {lengths[1]} "
            "of leaving the view; expected one each a frame"
        )
    return Track(boxes=boxes, absent=(flags[0] != 0) | (flags[1] != 0), origin=ORIGIN)


def _branches(row: Row, name: str, quirks: Quirks) -> list[Branch]:
    folder: Path = row.value
    sentence = _sentence(folder / "nlp.txt")
    if not sentence:
        quirks[NO_SENTENCE] += 1
    with at_row(row):
        track = read_track(folder)
        return ask_to_follow(track, folder / "img", name=name, quirks=quirks, sentence=sentence)


def _sentence(path: Path) -> str:
    if not path.is_file():
        return ""
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split())


def _split_of(folder: Path) -> str:
    return "test" if folder.name in test_names() else "train"


def _class_and_number(folder: Path) -> tuple[str, int, str]:
    name, _, number = folder.name.rpartition("-")
    return name, int(number) if number.isdecimal() else 0, folder.name
