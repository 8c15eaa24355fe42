"""GOT-10k: average overlap and success rate (got-10k/toolkit, `experiments/got10k.py`).

The toolkit's numbers of the validation split; the class-balanced ones of the paper and of the test
split are computed by the server alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.tracking import BoxRows, Floats, as_boxes, count_above, overlaps

SUCCESS_THRESHOLDS: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Got10kSequence:
    """One sequence and what a tracker made of it.

    Args:
        name: Unique.
        truth: The right boxes, one a frame: left, top, width, height in pixels.
        predictions: The tracker's boxes of each repetition, one a frame; the first is ignored.
        cover: How much of the target is seen in each frame, from 0 (not at all) to 8.
        size: (width, height) of the picture in pixels.
    """

    name: str
    truth: BoxRows
    predictions: Sequence[BoxRows]
    cover: Sequence[int]
    size: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Got10kScores:
    """Fractions in [0, 1].

    Args:
        ao: Average overlap: mean IoU over frames.
        sr50: Success rate: share of frames with an IoU above 0.5.
        sr75: The same above 0.75.
        curve: `[101]`, the same above 0, 0.01, ..., 1.
        frames: How many frames counted.
        length: Frames of the sequences after their first, counted or not.
    """

    ao: float
    sr50: float
    sr75: float
    curve: Floats
    frames: int
    length: int


def clipped_iou(a: Floats, b: Floats, *, size: tuple[float, float] | None) -> Floats:
    """Return the IoU of boxes `[T, 4]` in the toolkit's way.

    First a box's corner is moved into the picture, then its sides are cut to what is left: a box
    that starts left of the picture is moved and not shortened. Two empty boxes have IoU 0.

    Args:
        a: left, top, width, height in pixels.
        b: Likewise.
        size: (width, height) of the picture in pixels; None leaves boxes as they are.

    Returns:
        `[T]` in [0, 1].
    """
    if size is not None:
        a, b = _clipped(a, size), _clipped(b, size)
    shared, union = overlaps(a, b)
    iou: Floats = (shared / (union + np.finfo(np.float64).eps)).clip(0, 1)
    return iou


def sequence_iou(sequence: Got10kSequence) -> list[Floats]:
    """Return for each repetition `[T - 1]`, the IoU of every frame after the first.

    Raises:
        InputError: If a table of boxes or labels has another length than the right boxes.
    """
    truth = as_boxes(sequence.truth, what=f"{sequence.name}: the right boxes")
    if len(sequence.cover) != len(truth):
        raise InputError(
            f"{sequence.name} has {len(truth)} frames and {len(sequence.cover)} cover labels; "
            "expected one a frame"
        )
    ious = []
    for rows in sequence.predictions:
        boxes = as_boxes(rows, what=f"{sequence.name}: the predictions")
        if len(boxes) != len(truth):
            raise InputError(
                f"{sequence.name} has {len(truth)} frames and {len(boxes)} predictions; expected "
                "one a frame, the first included"
            )
        ious.append(clipped_iou(boxes[1:], truth[1:], size=sequence.size))
    return ious


def got10k_scores(
    sequences: Iterable[Got10kSequence],
) -> tuple[Got10kScores, dict[str, Got10kScores]]:
    """Return the scores over all sequences, and those of each.

    The first frame and frames in which nothing of the target is seen do not count. AO and SR are
    over the frames of all sequences and repetitions together: a long sequence weighs more. An IoU
    equal to the threshold is a miss.

    Args:
        sequences: With at least one repetition each.

    Raises:
        InputError: If lengths differ, or no frame counts.
    """
    kept: dict[str, Floats] = {}
    lengths: dict[str, int] = {}
    for sequence in sequences:
        seen = np.asarray(sequence.cover)[1:] > 0
        ious = sequence_iou(sequence)
        kept[sequence.name] = np.concatenate([iou[seen] for iou in ious] or [np.zeros(0)])
        lengths[sequence.name] = len(sequence.truth) - 1
    together = np.concatenate(list(kept.values()) or [np.zeros(0)])
    if not together.size:
        raise InputError(f"no frame of {len(kept)} sequences counts; expected predictions")
    each = {name: _scores(iou, lengths[name]) for name, iou in kept.items()}
    return _scores(together, sum(lengths.values())), each


def _scores(iou: Floats, length: int) -> Got10kScores:
    curve = count_above(iou, SUCCESS_THRESHOLDS) / len(iou) if iou.size else np.full(101, np.nan)
    return Got10kScores(
        ao=float(iou.mean()) if iou.size else float("nan"),
        sr50=float(curve[50]),
        sr75=float(curve[75]),
        curve=curve,
        frames=len(iou),
        length=length,
    )


def _clipped(boxes: Floats, size: tuple[float, float]) -> Floats:
    corner = boxes[:, :2].clip(0, size)
    sides = boxes[:, 2:].clip(0, np.asarray(size) - corner)
    return np.concatenate([corner, sides], axis=1)
