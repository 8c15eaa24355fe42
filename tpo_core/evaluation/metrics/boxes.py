"""Accuracy of one predicted box per question, as on RefCOCO: Acc@0.5 counts IoU >= 0.5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError

Box = Sequence[float]


def box_iou(predicted: Sequence[Box], truth: Sequence[Box]) -> NDArray[np.float64]:
    """Return the IoU of each pair of boxes.

    Args:
        predicted: N boxes, xyxy in any one unit. Reversed corners are not put right: such a box has
            no area and its IoU is 0.
        truth: N boxes in the same unit.

    Returns:
        `[N]` in [0, 1]; 0 where both boxes are empty.

    Raises:
        InputError: If the numbers of boxes differ.
    """
    _same_number(predicted, truth)
    a = np.asarray(predicted, dtype=np.float64).reshape(-1, 4)
    b = np.asarray(truth, dtype=np.float64).reshape(-1, 4)
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    overlap = sides.clip(0).prod(1)
    union = _area(a) + _area(b) - overlap
    iou: NDArray[np.float64] = np.divide(
        overlap, union, out=np.zeros_like(overlap), where=union > 0
    )
    return iou


def box_accuracy(
    predicted: Sequence[Box | None],
    truth: Sequence[Box],
    *,
    thresholds: Sequence[float] = (0.5,),
) -> dict[str, float]:
    """Return the share of questions whose box reaches each IoU (inclusive), and the mean IoU.

    Args:
        predicted: One box per question, xyxy; None where there is none, which counts as wrong.
        truth: The right boxes, in the same unit.
        thresholds: IoU levels.

    Returns:
        `{"acc@0.5": ..., "miou": ...}`, fractions in [0, 1]; NaN without a question.

    Raises:
        InputError: If the numbers of boxes differ.
    """
    _same_number(predicted, truth)
    iou = box_iou([(0.0, 0.0, 0.0, 0.0) if box is None else box for box in predicted], truth)
    iou = np.where([box is None for box in predicted], 0.0, iou)
    figures = {f"acc@{level:g}": _mean(iou >= level) for level in thresholds}
    return {**figures, "miou": _mean(iou)}


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)
    return area


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _same_number(predicted: Sequence[object], truth: Sequence[object]) -> None:
    if len(predicted) != len(truth):
        raise InputError(
            f"{len(predicted)} predicted boxes for {len(truth)} right ones; expected one for each, "
            "None where there is none"
        )
