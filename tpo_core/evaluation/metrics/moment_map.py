"""Average precision of ranked spans, as on QVHighlights (ActivityNet's detection AP per query).

jayleicn/moment_detr, `standalone_eval/eval.py` and `utils.py`. All queries are scored at once.

Shapes: Q queries, P predictions kept of each, G right moments, T thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tpo_core.evaluation.metrics.moments import Span, check_queries

AP_THRESHOLDS: Final = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
MAX_PREDICTIONS: Final = 10
"""Only so many spans of a query count, the first of the file, whatever their scores."""

Floats = NDArray[np.float64]


def average_precision(
    predicted: Sequence[Sequence[Span]],
    truth: Sequence[Sequence[Span]],
    *,
    thresholds: Sequence[float] = AP_THRESHOLDS,
) -> Floats:
    """Return the AP of each query's spans at each IoU.

    The first ten spans in the order given are sorted by score, ties in that order. One after the
    other takes the moment with the highest IoU that no earlier one took, and is right if that IoU
    reaches the threshold. AP is the area below the precision that is reached at each recall or a
    higher one.

    Args:
        predicted: For each query its (start, end, score), times in seconds.
        truth: For each query its right moments, at least one.
        thresholds: IoU levels, inclusive.

    Returns:
        `[Q, T]` in [0, 1]; 0 for a query without a span. (QVHighlights leaves such queries out of
        its mean, see `qvhighlights_report`.)

    Raises:
        InputError: If the numbers of queries differ or a query has no right moment.
    """
    check_queries(predicted, truth)
    if not predicted:
        return np.zeros((0, len(thresholds)))
    spans_QP3, given_QP = _padded([spans[:MAX_PREDICTIONS] for spans in predicted], width=3)
    order_QP = np.argsort(np.where(given_QP, -spans_QP3[..., 2], np.inf), axis=1, kind="stable")
    spans_QP3 = np.take_along_axis(spans_QP3, order_QP[..., None], axis=1)
    # Sorted, what was given still comes first.
    moments_QG2, moment_QG = _padded(truth, width=2)
    iou_QPG = np.where(moment_QG[:, None], _iou(spans_QP3, moments_QG2), -1.0)
    hits_QTP = _hits(iou_QPG, np.asarray(thresholds)) & given_QP[:, None]
    return _area(hits_QTP, given_QP, moment_QG.sum(1))


def _padded(
    rows: Sequence[Sequence[Span]], *, width: int
) -> tuple[Floats, NDArray[np.bool_]]:  # fmt: skip
    """Return rows of spans as one array with zeros after each, and where a span is."""
    counts = np.array([len(row) for row in rows])
    there = np.arange(max(1, counts.max())) < counts[:, None]
    values = np.zeros((*there.shape, width))
    flat = [tuple(span[:width]) for row in rows for span in row]
    values[there] = np.array(flat, dtype=np.float64).reshape(-1, width)
    return values, there


def _iou(spans_QP3: Floats, moments_QG2: Floats) -> Floats:
    """Return `[Q, P, G]`, the IoU of each span with each moment, over their true union."""
    start_QP1, end_QP1 = spans_QP3[..., 0, None], spans_QP3[..., 1, None]
    first_Q1G, last_Q1G = moments_QG2[:, None, :, 0], moments_QG2[:, None, :, 1]
    overlap = (np.minimum(end_QP1, last_Q1G) - np.maximum(start_QP1, first_Q1G)).clip(0)
    union = (end_QP1 - start_QP1) + (last_Q1G - first_Q1G) - overlap
    iou: Floats = np.divide(overlap, union, out=np.zeros_like(overlap), where=overlap > 0)
    return iou


def _hits(iou_QPG: Floats, thresholds_T: Floats) -> NDArray[np.bool_]:
    """Return `[Q, T, P]`, which spans take a moment."""
    queries, spans, moments = iou_QPG.shape
    free_QTG = np.ones((queries, len(thresholds_T), moments), dtype=bool)
    hits = np.zeros((queries, len(thresholds_T), spans), dtype=bool)
    for rank in range(spans):
        iou_QTG = np.where(free_QTG, iou_QPG[:, rank, None], -1.0)
        # The last of equals, as the reversed argsort of the original has it.
        best_QT = moments - 1 - iou_QTG[..., ::-1].argmax(-1)
        reached = np.take_along_axis(iou_QTG, best_QT[..., None], -1)[..., 0]
        hits[:, :, rank] = reached >= thresholds_T
        taken = hits[:, :, rank, None] & (np.arange(moments) == best_QT[..., None])
        free_QTG &= ~taken
    return hits


def _area(
    hits_QTP: NDArray[np.bool_], given_QP: NDArray[np.bool_], moments_Q: NDArray[np.int64]
) -> Floats:
    right_QTP = hits_QTP.cumsum(-1)
    precision = np.where(given_QP[:, None], right_QTP / np.arange(1, hits_QTP.shape[-1] + 1), 0)
    precision = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    recall = right_QTP / moments_Q[:, None, None]
    steps = np.diff(recall, axis=-1, prepend=0.0)
    area: Floats = (steps * precision).sum(-1)
    return area
