"""Moment retrieval as scored on Charades-STA: R1@IoU and mIoU of the top-ranked span.

With several right moments the one that fits best counts, as in R1 of QVHighlights (Moment-DETR's
`compute_mr_r1`). Spans are (start, end) in seconds and are not clipped to the video.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tpo_core.errors import InputError

Span = Sequence[float]


def span_iou(a: Span, b: Span) -> float:
    """Return the temporal IoU of two spans; 0 for disjoint, empty or reversed ones."""
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    # Spans that overlap have their hull as union.
    return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap > 0 else 0.0


def recall_at_1(
    predicted: Sequence[Sequence[Span]],
    truth: Sequence[Sequence[Span]],
    *,
    thresholds: Sequence[float] = (0.3, 0.5, 0.7),
) -> dict[str, float]:
    """Return R1 at each IoU (inclusive) and the mean IoU, over queries.

    Args:
        predicted: For each query its spans, best first; only the first counts. A query without a
            span is a miss.
        truth: For each query its right moments, at least one.
        thresholds: IoU levels.

    Returns:
        `{"r1@0.5": ..., "miou": ...}`, fractions in [0, 1]; NaN without a query.

    Raises:
        InputError: If the numbers of queries differ or a query has no right moment.
    """
    if len(predicted) != len(truth):
        raise InputError(
            f"{len(predicted)} predictions for {len(truth)} queries; expected one list of spans "
            "for each, empty where there is none"
        )
    for query, moments in enumerate(truth):
        if not moments:
            raise InputError(f"query {query} has no right moment; leave it out of the evaluation")
    iou = np.array(
        [
            max(span_iou(spans[0], moment) for moment in moments) if spans else 0.0
            for spans, moments in zip(predicted, truth, strict=True)
        ]
    )
    figures = {f"r1@{level:g}": float((iou >= level).mean()) if iou.size else float("nan")
               for level in thresholds}  # fmt: skip
    return {**figures, "miou": float(iou.mean()) if iou.size else float("nan")}
