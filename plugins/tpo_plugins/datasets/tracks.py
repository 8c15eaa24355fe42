"""One object's boxes through a video, as tracking datasets release them in text files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError, RecordError
from tpo_plugins.datasets.boxes import Box, Size
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.text import text_lines

UNSEEN = "frame in which the object is absent: no box"
NO_SIZE = "box without a size on a frame that is not flagged: taken as not annotated"
OUTSIDE = "box outside the picture on a frame that is not flagged: taken as not annotated"
CUT = "box that leaves the picture: cut at its edge"

_SEPARATOR = re.compile(r"[,\s]+")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Track:
    """One object's boxes as they stand in the files.

    Args:
        boxes: float64 `[T, 4]`, xywh in pixels of each annotated frame from the first; sizes may be
            0 or negative.
        absent: bool `[T]`, whether the object is flagged as not visible.
        origin: What the files call the picture's left and upper edge, 0 or 1.
    """

    boxes: NDArray[np.float64]
    absent: NDArray[np.bool_]
    origin: float = 0.0

    def normalised(self, size: Size, *, quirks: Quirks) -> dict[int, Box | None]:
        """Return the boxes of a record's target by frame number; None where the object is absent.

        Frames whose box cannot be right are left out: they count as not annotated.

        Args:
            size: Of the frames.
            quirks: Filled.
        """
        height, width = size
        corners = self.boxes.copy()
        corners[:, :2] -= self.origin
        corners[:, 2:] += corners[:, :2]
        clipped = (corners / [width, height, width, height]).clip(0, 1).round(6)
        seen = ~self.absent
        sized = (self.boxes[:, 2:] > 0).all(axis=1)
        inside = (clipped[:, :2] < clipped[:, 2:]).all(axis=1)
        cut = (corners[:, :2] < 0).any(axis=1) | (corners[:, 2:] > [width, height]).any(axis=1)
        for quirk, met in (
            (UNSEEN, self.absent),
            (NO_SIZE, seen & ~sized),
            (OUTSIDE, seen & sized & ~inside),
            (CUT, seen & sized & inside & cut),
        ):
            if met.any():
                quirks[quirk] += int(met.sum())
        return {
            number: None if self.absent[number] else clipped[number].tolist()
            for number in np.flatnonzero(self.absent | (sized & inside)).tolist()
        }


def first_box(boxes: Mapping[int, Box | None]) -> tuple[int, Box]:
    """Return the first frame with a box, and the box; there must be one."""
    return next((number, box) for number in sorted(boxes) if (box := boxes[number]) is not None)


def read_boxes(path: Path) -> NDArray[np.float64]:
    """Read a file of one `x,y,w,h` a line; blanks or tabs may stand for commas.

    Returns:
        float64 `[T, 4]`, T at least 1.

    Raises:
        InputError: If the file is missing or holds no line.
        RecordError: If a line is no four finite numbers; names it.
    """
    try:
        text = path.read_bytes().replace(b",", b" ")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file") from error
    if not text.strip():
        raise InputError(f"{path} is empty; expected one x,y,w,h a line")
    try:
        boxes = np.loadtxt(BytesIO(text), dtype=np.float64, ndmin=2, comments=None)
        if boxes.shape[1] == 4 and np.isfinite(boxes).all():
            return boxes
    except ValueError:
        pass
    raise _first_bad(path)


def read_flags(path: Path) -> NDArray[np.int64]:
    """Read whole numbers `[T]`, one a line or all in one line between commas.

    Raises:
        InputError: If the file is missing or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return np.array([int(part) for part in _SEPARATOR.split(text) if part], dtype=np.int64)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file") from error
    except ValueError as error:
        raise InputError(f"{path} holds something else than whole numbers ({error})") from error


def _first_bad(path: Path) -> RecordError:
    """Return the error of the first line that is no box, in a file that has one."""
    for row in text_lines(path):
        if isinstance(row, RecordError):
            return row
        try:
            box = [float(part) for part in row.value.replace(",", " ").split()]
        except ValueError:
            box = []
        if len(box) != 4 or not np.isfinite(box).all():
            return row.error(f"the line is {row.value!r}; expected x,y,w,h in pixels")
    raise AssertionError(f"every line of {path} is a box")
