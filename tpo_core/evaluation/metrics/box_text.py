"""Read a box from an answer in words and score it, in the dialects of the RefCOCO evaluators.

Each dialect has its own numbers (fractions, thousandths, 0 to 999), its own idea of a tie at IoU
0.5, and its own precision. In all of them the first box of an answer counts, corners are not put in
order, and an answer without a box gets the box 0, 0, 0, 0, which is wrong but counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.boxes import Box, Floats, box_iou

Dialect = Literal["internvl", "qwen-vl", "asmv2", "asmv2-square", "lmms-eval", "shikra"]
Size = tuple[int, int]
"""(width, height) of the picture in pixels."""

_NO_BOX: Final = (0.0, 0.0, 0.0, 0.0)
_INTERNVL = re.compile(r"\[*\[(.*?),(.*?),(.*?),(.*?)\]\]*")
_QWEN = re.compile(r"\((.*?)\),\((.*?)\)")
_ASMV2 = re.compile(r"\[\[.*?\]\]")
_LMMS = re.compile(r"\[\s*" + r",\s*".join([r"(-?\d+(?:\.\d+)?)"] * 4) + r"\s*\]")
_SHIKRA_BOX = r"\d(?:\.\d*)?(?:,\d(?:\.\d*)?){3}"
_SHIKRA = re.compile(rf"\[{_SHIKRA_BOX}(?:;{_SHIKRA_BOX})*\]")


@dataclass(frozen=True, slots=True, eq=False)
class BoxScores:
    """What came of the answers to N questions.

    Args:
        boxes: `[N, 4]`, xyxy as compared: pixels, or fractions for `lmms-eval` and `shikra`.
        iou: `[N]`.
        hits: bool `[N]`.
    """

    boxes: Floats
    iou: Floats
    hits: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Acc@0.5, a fraction in [0, 1]; NaN without a question."""
        return float(self.hits.mean()) if self.hits.size else float("nan")


def parse_box(text: str, dialect: Dialect, size: Size) -> Floats:
    """Return the box of an answer as its dialect's evaluator sees it.

    - `internvl` (`eval/refcoco/evaluate_grounding.py`): `[[x1, y1, x2, y2]]`; thousandths if the
      four numbers add up to 4 or more, else fractions. Pixels in float32.
    - `qwen-vl` (`eval_mm/evaluate_grounding.py`): `(x1,y1),(x2,y2)` from 0 to 999. Pixels, float32.
    - `asmv2` (`llava/eval/eval_grounding.py`): `[[x1, y1, x2, y2]]` from 0 to 999; `asmv2-square`
      when they are of the picture padded to a square. Pixels in float32.
    - `lmms-eval` (`tasks/refcoco/utils_rec.py`): `[x1, y1, x2, y2]` as fractions, in float64.
    - `shikra` (`single_image_dataset/rec.py`): `[x1,y1,x2,y2]` without blanks as fractions of the
      picture padded to a square, and no other box in the answer. float32.

    Args:
        text: The model's answer.
        dialect: Whose rules.
        size: Of the picture.

    Returns:
        `[4]`, xyxy.
    """
    return _READERS[dialect](text, size)


def box_text_accuracy(
    answers: Sequence[str], truth: Sequence[Box], sizes: Sequence[Size], *, dialect: Dialect
) -> BoxScores:
    """Score answers in words: Acc@0.5 with one score a sentence.

    An IoU of exactly 0.5 is right for `internvl`, `qwen-vl` and `lmms-eval`, and wrong for `asmv2`
    and `shikra`. Shikra reads the right box from text too, so it has three decimals.

    Args:
        answers: One for each question; empty if there is none.
        truth: The right boxes, xyxy in pixels.
        sizes: Of the pictures.
        dialect: Whose rules.

    Raises:
        InputError: If the numbers of questions differ.
    """
    if not len(answers) == len(truth) == len(sizes):
        raise InputError(
            f"{len(answers)} answers, {len(truth)} right boxes and {len(sizes)} sizes of pictures; "
            "expected one of each a question"
        )
    boxes = [parse_box(text, dialect, size) for text, size in zip(answers, sizes, strict=True)]
    precision = "float64" if dialect == "lmms-eval" else "float32"
    said: Floats = np.array(boxes, dtype=precision).reshape(-1, 4)
    pairs = zip(truth, sizes, strict=True)
    right: Floats = np.array(
        [_truth(box, dialect, size) for box, size in pairs], dtype=precision
    ).reshape(-1, 4)
    # Shikra multiplies, lest areas of fractions get too small.
    iou = box_iou(said * 1000, right * 1000) if dialect == "shikra" else box_iou(said, right)
    ties_miss = dialect in ("asmv2", "asmv2-square", "shikra")
    return BoxScores(said, iou, iou > 0.5 if ties_miss else iou >= 0.5)


def square_padded(box: Box, size: Size) -> tuple[float, float, float, float]:
    """Return a pixel box in the picture's square: padded at both ends of the shorter side.

    Args:
        box: xyxy in pixels of the picture.
        size: Of the picture.
    """
    x, y = _padding(size)
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _padding(size: Size) -> tuple[int, int]:
    width, height = size
    side = max(size)
    return (side - width) // 2, (side - height) // 2


def _truth(box: Box, dialect: Dialect, size: Size) -> Sequence[float]:
    width, height = size
    if dialect == "lmms-eval":
        return [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
    if dialect == "shikra":
        return [float(f"{value / max(size):.3f}") for value in square_padded(box, size)]
    return [float(value) for value in box]


def _internvl(text: str, size: Size) -> Floats:
    found = _INTERNVL.search(text)
    box = _floats(found.groups() if found else ())
    if box.sum() >= 4:
        box = box / np.float32(1000)
    return _scaled(box, size)


def _qwen(text: str, size: Size) -> Floats:
    found = _QWEN.search(text)
    corners = [corner.split(",") for corner in found.groups()] if found else []
    numbers = [number for corner in corners if len(corner) == 2 for number in corner]
    return _scaled(_floats(numbers) / np.float32(999), size)


def _asmv2(text: str, size: Size) -> Floats:
    return _scaled(_first_of_json(text) / np.float32(999), size)


def _asmv2_square(text: str, size: Size) -> Floats:
    side = max(size)
    box = _scaled(_first_of_json(text) / np.float32(999), (side, side))
    return box - np.array(_padding(size) * 2, dtype=np.float32)


def _lmms(text: str, size: Size) -> Floats:
    found = _LMMS.search(text)
    return np.array([float(number) for number in found.groups()] if found else _NO_BOX)


def _shikra(text: str, size: Size) -> Floats:
    found = _SHIKRA.findall(text)
    single = len(found) == 1 and ";" not in found[0]
    return _floats(found[0].strip("[]").split(",") if single else ())


def _first_of_json(text: str) -> Floats:
    found = _ASMV2.search(text)
    try:
        boxes: Any = json.loads(found.group()) if found else []
        return _floats(boxes[0]) if boxes else _floats(())
    except (json.JSONDecodeError, TypeError):
        return _floats(())


def _floats(numbers: Sequence[Any]) -> Floats:
    """Return four numbers as float32; those of no box if there are not four."""
    try:
        values = [float(number) for number in numbers]
    except (TypeError, ValueError):
        values = []
    return np.array(values if len(values) == 4 else _NO_BOX, dtype=np.float32)


def _scaled(box: Floats, size: Size) -> Floats:
    return box * np.array(size * 2, dtype=np.float32)


_READERS: Final[Mapping[Dialect, Callable[[str, Size], Floats]]] = {
    "internvl": _internvl,
    "qwen-vl": _qwen,
    "asmv2": _asmv2,
    "asmv2-square": _asmv2_square,
    "lmms-eval": _lmms,
    "shikra": _shikra,
}
