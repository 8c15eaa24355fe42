"""MeViS: phrases about motion, each for one object or several of a video (arXiv 2308.08544).

As released: `{train,valid_u,valid}/meta_expressions.json`, `JPEGImages/<video>/<frame>.jpg` and,
except for `valid`, `mask_dict.json`: an RLE or null for each frame of each annotation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.expressions import Expression, read_expressions
from tpo_plugins.datasets.files import data_folder, split_files
from tpo_plugins.datasets.frame_folders import FrameFolder, frame_folder
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.masks import Mask, empty, read_rle, union
from tpo_plugins.datasets.objects import ask_by_phrase, mask_target
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Row, Rows

FPS = 6.0
"""Frames a second, approximately: the release does not say, and only times depend on it."""

UNSEEN = "null in place of a mask: an empty mask, the object is not visible"
SHORT = "video of fewer than two frames: left out"

_FILES = {
    split: f"{split}/meta_expressions.json" for split in ("train", "valid_u", "valid", "test")
}
_WITHOUT_MASKS = ("valid", "test")


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield a record a video, a branch a phrase; its target is the union of its objects' masks.

    Args:
        source: The folder that holds `train` and `valid_u`.
        split: `train` or `valid_u`; those that are there if None.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If a file is missing, or the split's masks are not released.
    """
    root, found = data_folder(source), counter(quirks)
    if split in _WITHOUT_MASKS:
        raise InputError(
            f"the masks of MeViS {split} are not released, so it gives no records; read train or "
            "valid_u, or take its phrases from `expressions` and submit what is predicted"
        )
    known = {name: file for name, file in _FILES.items() if name not in _WITHOUT_MASKS}
    files = split_files(root, known, split=split)
    return chain(*[_split(root, name, file, found) for name, file in files.items()])


def expressions(
    source: str | os.PathLike[str], *, split: str, quirks: Quirks | None = None
) -> Iterator[Group | RecordError]:
    """Yield the phrases of each video of any split; see `expressions.read_expressions`.

    Raises:
        InputError: If the split's file is missing.
    """
    (file,) = split_files(data_folder(source), _FILES, split=split).values()
    return read_expressions(file, quirks=counter(quirks))


class MaskFile:
    """The masks of a `mask_dict.json`, read when they are asked for.

    Args:
        path: The file.
        quirks: Filled.

    Raises:
        InputError: If the file cannot be read.
    """

    def __init__(self, path: Path, *, quirks: Quirks) -> None:
        self.quirks = quirks
        self._rows = Rows(path)
        self._numbers = self._rows.numbers()
        self._read = lru_cache(maxsize=32)(self._decode)

    def masks(self, expression: Expression, *, size: Size | None = None) -> list[Mask]:
        """Return the union of a phrase's annotations, one mask a frame, in the frames' order.

        Args:
            expression: The phrase.
            size: The video's, if it is known.

        Raises:
            InputError: If an annotation is missing, has another number of frames, is never visible
                or is damaged.
        """
        if not expression.annotations:
            raise InputError("anno_id is empty; expected the annotations that the phrase means")
        each = [
            self._read(number, len(expression.frames), size) for number in expression.annotations
        ]
        return [union(together) for together in zip(*each, strict=True)]

    def _decode(self, number: int, frames: int, size: Size | None) -> Sequence[Mask]:
        """Read the masks of one annotation; the list's order is that of the sorted frames."""
        row = self._rows[self._numbers[key]] if (key := str(number)) in self._numbers else None
        if row is None:
            raise InputError(f"{self._rows.path} has no masks of annotation {number}")
        items = row.value
        if not isinstance(items, list) or len(items) != frames:
            got = f"{len(items)} masks" if isinstance(items, list) else type(items).__name__
            raise InputError(
                f"annotation {number} of {self._rows.path} has {got}; expected one for each of "
                f"{frames} frames"
            )
        found = [None if item is None else read_rle(item, size=size) for item in items]
        seen = next((tuple(mask["size"]) for mask in found if mask), size)
        if seen is None:
            raise InputError(f"annotation {number} of {self._rows.path} has a mask in no frame")
        if None in found:
            self.quirks[UNSEEN] += found.count(None)
        return [empty(seen) if mask is None else mask for mask in found]


def _split(root: Path, split: str, file: Path, quirks: Quirks) -> Iterator[Record | RecordError]:
    masks = MaskFile(file.parent / "mask_dict.json", quirks=quirks)
    pictures = file.parent / "JPEGImages"

    @lru_cache(maxsize=1)
    def folder(video: str, frames: tuple[str, ...]) -> FrameFolder:
        return frame_folder(pictures / video, frames, quirks=quirks)

    def media(group: Group) -> MediaRef:
        first: Expression = group.rows[0].value
        return folder(first.video, first.frames).ref(root, fps=FPS)

    def branches(row: Row, name: str) -> Iterable[Branch]:
        expression: Expression = row.value
        with at_row(row):
            frames = folder(expression.video, expression.frames)
            found = masks.masks(expression, size=frames.size)
            numbers = [frames.numbers[stem] for stem in expression.frames]
            target = mask_target(dict(zip(numbers, found, strict=True)))
            yield ask_by_phrase(expression.text, target, name=name)

    return group_records(
        _long_enough(read_expressions(file, quirks=quirks), quirks),
        prefix=f"mevis/{split}",
        media=media,
        branches=branches,
    )


def _long_enough(
    groups: Iterable[Group | RecordError], quirks: Quirks
) -> Iterator[Group | RecordError]:
    for group in groups:
        if isinstance(group, Group) and group.rows and len(group.rows[0].value.frames) < 2:
            quirks[SHORT] += 1
        else:
            yield group
