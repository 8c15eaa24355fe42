"""Overlap of boxes and the accuracy of one predicted box per question, as on RefCOCO.

Computed in the precision of what is given: float32 arrays stay float32, as some evaluators have it
and as decides ties at a threshold; everything else is float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError

Box = Sequence[float] | NDArray[np.floating[Any]]
Boxes = Sequence[Box] | NDArray[np.floating[Any]]
Floats = NDArray[np.floating[Any]]


def box_iou(predicted: Boxes, truth: Boxes) -> Floats:
    """Return the IoU of each pair of boxes, continuous (no pixel is added to a side).

    Args:
        predicted: N boxes, xyxy in any one unit. Reversed corners are not put right: such a box has
            no area and its IoU is 0.
        truth: N boxes in the same unit.

    Returns:
        `[N]` in [0, 1]; 0 where both boxes are empty.

    Raises:
        InputError: If the numbers of boxes differ.
    """
    overlap, union = _overlap_and_union(*_pairs(predicted, truth))
    return _ratio(overlap, union)


def box_giou(predicted: Boxes, truth: Boxes) -> Floats:
    """Return the generalised IoU of each pair: IoU less the empty share of their common hull.

    Rezatofighi et al., CVPR 2019.

    Args:
        predicted: N boxes, xyxy in any one unit.
        truth: N boxes in the same unit.

    Returns:
        `[N]` in [-1, 1].

    Raises:
        InputError: If the numbers of boxes differ.
    """
    a, b = _pairs(predicted, truth)
    overlap, union = _overlap_and_union(a, b)
    hull = (np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2])).clip(0).prod(1)
    return _ratio(overlap, union) - _ratio(hull - union, hull)


def box_accuracy(
    predicted: Sequence[Box | None],
    truth: Boxes,
    *,
    thresholds: Sequence[float] = (0.5,),
    ties_miss: bool = False,
) -> dict[str, float]:
    """Return the share of questions whose box reaches each IoU, and the mean IoU.

    Args:
        predicted: One box per question, xyxy; None where there is none, which counts as wrong.
        truth: The right boxes, in the same unit.
        thresholds: IoU levels.
        ties_miss: Count an IoU equal to the level as wrong, as Shikra and ASMv2 do and InternVL,
            Qwen-VL and lmms-eval do not.

    Returns:
        `{"acc@0.5": ..., "miou": ...}`, fractions in [0, 1]; NaN without a question.

    Raises:
        InputError: If the numbers of boxes differ.
    """
    _same_number(predicted, truth)
    iou = box_iou([(0.0, 0.0, 0.0, 0.0) if box is None else box for box in predicted], truth)
    iou = np.where([box is None for box in predicted], 0.0, iou)
    hits = {level: iou > level if ties_miss else iou >= level for level in thresholds}
    return {**{f"acc@{level:g}": _mean(hit) for level, hit in hits.items()}, "miou": _mean(iou)}


def ranked_box_accuracy(
    boxes: Sequence[Boxes],
    scores: Sequence[Sequence[float]],
    truth: Boxes,
    *,
    ks: Sequence[int] = (1, 5, 10),
    threshold: float = 0.5,
) -> dict[str, float]:
    """Return P@k as MDETR does: is one of the k boxes with the highest scores near the right one.

    Near means a *generalised* IoU of the threshold or more, in float32 (ashkamath/mdetr,
    `datasets/refexp.py`), which no other evaluator of RefCOCO uses.

    Args:
        boxes: For each question its boxes, xyxy.
        scores: For each question the scores of its boxes; of equal scores the greater box comes
            first, as the script sorts both together.
        truth: The right boxes, in the same unit.
        ks: How many boxes may be tried.
        threshold: GIoU level, inclusive.

    Returns:
        `{"p@1": ..., "p@5": ..., "p@10": ...}`, fractions in [0, 1]; NaN without a question. A
        question without a box is wrong.

    Raises:
        InputError: If the numbers of questions differ.
    """
    _same_number(boxes, truth)
    _same_number(scores, truth)
    best = []
    for found, ranks, right in zip(boxes, scores, truth, strict=True):
        pairs = sorted(zip(ranks, map(tuple, found), strict=True), reverse=True)
        ordered = np.array([box for _, box in pairs], dtype=np.float32).reshape(-1, 4)
        near = box_giou(ordered, np.array([right] * len(ordered), dtype=np.float32)) >= threshold
        best.append([bool(near[:k].any()) for k in ks])
    return {f"p@{k}": _mean(np.array(best)[:, column] if best else np.array(best))
            for column, k in enumerate(ks)}  # fmt: skip


def _pairs(predicted: Boxes, truth: Boxes) -> tuple[Floats, Floats]:
    _same_number(predicted, truth)
    return _array(predicted), _array(truth)


def _array(boxes: Boxes) -> Floats:
    values = np.asarray(boxes)
    kept = values if values.dtype == np.float32 else values.astype(np.float64)
    return kept.reshape(-1, 4)


def _overlap_and_union(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    overlap: Floats = sides.clip(0).prod(1)
    return overlap, _area(a) + _area(b) - overlap


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)
    return area


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return ratio


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _same_number(predicted: Sequence[object] | Floats, truth: Sequence[object] | Floats) -> None:
    if len(predicted) != len(truth):
        raise InputError(
            f"{len(predicted)} predicted boxes for {len(truth)} right ones; expected one for each, "
            "None where there is none"
        )
