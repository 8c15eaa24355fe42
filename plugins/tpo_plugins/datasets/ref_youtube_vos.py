"""Ref-YouTube-VOS: phrases for single objects of YouTube-VOS's videos.

As released: `train/{JPEGImages,Annotations}/<video>/<frame>.{jpg,png}`, `valid/JPEGImages`, and
`meta_expressions/{train,valid,test}/meta_expressions.json`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Record
from tpo_plugins.datasets.expressions import read_expressions
from tpo_plugins.datasets.files import data_folder, split_files
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.palettes import palette_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Rows

FPS = 6.0
"""Frames a second of the annotated frames, every fifth of 30."""

_FILES = {
    split: f"meta_expressions/{split}/meta_expressions.json" for split in ("train", "valid", "test")
}


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield a record a video, a branch a phrase; its target is the masks of its object.

    Args:
        source: The folder that holds `train` and `meta_expressions`.
        split: `train`, the only one whose masks are released.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If a file is missing, or the split's masks are not released.
    """
    root, found = data_folder(source), counter(quirks)
    if split in ("valid", "test"):
        raise InputError(
            f"the masks of Ref-YouTube-VOS {split} are not released, so it gives no records; read "
            "train, or take its phrases from `expressions` and submit what is predicted"
        )
    (file,) = split_files(root, {"train": _FILES["train"]}, split=split or "train").values()
    return palette_records(
        read_expressions(file, quirks=found),
        prefix="ref_youtube_vos/train",
        root=root,
        pictures=file.parents[2] / "train" / "JPEGImages",
        annotations=file.parents[2] / "train" / "Annotations",
        fps=FPS,
        quirks=found,
    )


def expressions(
    source: str | os.PathLike[str], *, split: str, quirks: Quirks | None = None
) -> Iterator[Group | RecordError]:
    """Yield the phrases of each video; see `expressions.read_expressions`.

    The released validation file lists the test videos too; those are left out, which leaves the
    202 that the server scores.

    Raises:
        InputError: If the split's file is missing; for `valid`, that of test is needed as well.
    """
    root = data_folder(source)
    (file,) = split_files(root, _FILES, split=split).values()
    tested: set[str] = set()
    if split == "valid":
        (of_test,) = split_files(root, _FILES, split="test").values()
        tested.update(Rows(of_test, under="videos").numbers())
    return read_expressions(file, quirks=counter(quirks), without=tested)
