"""Moment retrieval by the top-ranked spans: R1@IoU and mIoU of Charades-STA, R@k of Ego4D NLQ.

With several right moments the one that fits best counts, as in R1 of QVHighlights (Moment-DETR's
`compute_mr_r1`). Spans are (start, end) in seconds and are not clipped to the video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError

Span = Sequence[float]
RecallVariant = Literal["tpo", "timechat", "tall", "videochat-flash", "2d-tan"]
"""Whose evaluation of Charades-STA; they differ in ties alone."""

TIES_MISS: Final[Mapping[RecallVariant, bool]] = {
    "tpo": False,
    "timechat": False,
    "tall": False,
    "videochat-flash": False,
    "2d-tan": True,
}
"""Whether an IoU equal to the threshold is a miss."""


def span_iou(a: Span, b: Span) -> float:
    """Return the temporal IoU of two spans; 0 for disjoint, empty or reversed ones."""
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    # Spans that overlap have their hull as union.
    return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap > 0 else 0.0


def first_span_iou(
    predicted: Sequence[Sequence[Span]], truth: Sequence[Sequence[Span]]
) -> NDArray[np.float64]:
    """Return for each query the IoU of its first span with the right moment that fits it best.

    Args:
        predicted: For each query its spans, best first; a query without one scores 0.
        truth: For each query its right moments, at least one.

    Returns:
        `[Q]` in [0, 1].

    Raises:
        InputError: If the numbers of queries differ or a query has no right moment.
    """
    check_queries(predicted, truth)
    return np.array(
        [
            max(span_iou(spans[0], moment) for moment in moments) if spans else 0.0
            for spans, moments in zip(predicted, truth, strict=True)
        ]
    )


def recall_at_1(
    predicted: Sequence[Sequence[Span]],
    truth: Sequence[Sequence[Span]],
    *,
    thresholds: Sequence[float] = (0.3, 0.5, 0.7),
    variant: RecallVariant = "tpo",
) -> dict[str, float]:
    """Return R1 at each IoU and the mean IoU, over queries.

    An IoU equal to the threshold is a hit for TPO (its copy of Moment-DETR's evaluation), TimeChat
    (`metrics/tvg/eval_tvg.py`), TALL (`main.py`) and VideoChat-Flash (`temporal_grounding/
    eval_tvg.py`), and a miss for 2D-TAN (`lib/core/eval.py`).

    Args:
        predicted: For each query its spans, best first; only the first counts. A query without a
            span is a miss and stays in the denominator.
        truth: For each query its right moments, at least one.
        thresholds: IoU levels.
        variant: Whose evaluation.

    Returns:
        `{"r1@0.5": ..., "miou": ...}`, fractions in [0, 1]; NaN without a query.

    Raises:
        InputError: If the numbers of queries differ or a query has no right moment.
    """
    iou = first_span_iou(predicted, truth)
    hits = {level: iou > level if TIES_MISS[variant] else iou >= level for level in thresholds}
    figures = {f"r1@{level:g}": _mean(hit) for level, hit in hits.items()}
    return {**figures, "miou": _mean(iou)}


def recall_at_k(
    predicted: Sequence[Sequence[Span]],
    truth: Sequence[Span],
    *,
    ks: Sequence[int] = (1, 5),
    thresholds: Sequence[float] = (0.3, 0.5),
    strict: bool = False,
) -> dict[str, float]:
    """Return R@k at each IoU and the mean IoU of the first span, as on Ego4D NLQ.

    A query is a hit if one of its first k spans has an IoU greater than the threshold (EGO4D/
    episodic-memory, `NLQ/VSLNet/utils/evaluate_ego4d_nlq.py`). That script averages over the
    queries that a file answers: leaving out a hard query raises the score. An empty span has an
    IoU of 0 here, also with an empty moment, where the script divides by 0.

    Args:
        predicted: For each query its spans, best first; empty where the file has no answer.
        truth: For each query its one right moment.
        ks: How many spans may be tried.
        thresholds: IoU levels, exclusive.
        strict: Count queries without a span as misses, rather than leave them out.

    Returns:
        `{"r1@0.3": ..., "r5@0.3": ..., "miou": ...}`, fractions in [0, 1]; NaN without a query.

    Raises:
        InputError: If the numbers of queries differ.
    """
    check_queries(predicted, [[moment] for moment in truth])
    iou = [
        np.array([span_iou(span, moment) for span in spans] or [0.0])
        for spans, moment in zip(predicted, truth, strict=True)
        if spans or strict
    ]
    figures = {
        f"r{k}@{level:g}": _mean(np.array([bool((each[:k] > level).any()) for each in iou]))
        for level in thresholds
        for k in ks
    }
    return {**figures, "miou": _mean(np.array([each[0] for each in iou]))}


def check_queries(predicted: Sequence[Sequence[Span]], truth: Sequence[Sequence[Span]]) -> None:
    """Make sure that there is one list of spans a query and that each has a right moment.

    Args:
        predicted: For each query its spans.
        truth: For each query its right moments.

    Raises:
        InputError: If not.
    """
    if len(predicted) != len(truth):
        raise InputError(
            f"{len(predicted)} predictions for {len(truth)} queries; expected one list of spans "
            "for each, empty where there is none"
        )
    for query, moments in enumerate(truth):
        if not len(moments):
            raise InputError(f"query {query} has no right moment; leave it out of the evaluation")


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")
