"""Average precision of spans against a plain loop over the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.moment_map import AP_THRESHOLDS, average_precision
from tpo_core.evaluation.metrics.moments import span_iou


def by_loop(spans: Any, moments: Any, threshold: float) -> float:
    ranked = sorted(spans[:10], key=lambda span: -span[2])
    free, hits = list(moments), []
    for span in ranked:
        best = max(free, key=lambda moment: span_iou(span, moment), default=None)
        hits.append(best is not None and span_iou(span, best) >= threshold)
        if hits[-1]:
            free.remove(best)
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    return sum(max(precision[k:]) for k, hit in enumerate(hits) if hit) / len(moments)


def test_equals_the_definition_on_random_queries() -> None:
    rng = np.random.default_rng(0)
    said, truth = [], []
    for _ in range(200):
        bounds = np.sort(rng.choice(76, 2 * rng.integers(1, 8), replace=False)) * 2.0
        truth.append(bounds.reshape(-1, 2).tolist())
        moments = np.array(truth[-1])[rng.integers(0, len(truth[-1]), rng.integers(0, 14))]
        noise = rng.choice([0, 1, 6]) * rng.normal(size=moments.shape)
        scores = rng.integers(0, 4, (len(moments), 1)) / 4  # many ties
        said.append(np.concatenate([moments + noise, scores], axis=1).tolist())
    ap = average_precision(said, truth)
    expected = [
        [by_loop(spans, moments, level) for level in AP_THRESHOLDS]
        for spans, moments in zip(said, truth, strict=True)
    ]
    assert np.abs(ap - expected).max() < 1e-12


def test_only_the_first_ten_spans_count_whatever_their_scores() -> None:
    wrong, right = [(100.0, 110.0, 0.1)] * 10, [(0.0, 10.0, 0.9)]
    truth = [[(0.0, 10.0)]]
    assert average_precision([wrong + right], truth, thresholds=(0.5,)).tolist() == [[0.0]]
    assert average_precision([right + wrong], truth, thresholds=(0.5,)).tolist() == [[1.0]]


def test_a_moment_is_taken_once() -> None:
    said = [[(0.0, 10.0, 0.9), (0.0, 10.0, 0.8), (20.0, 30.0, 0.7)]]
    ap = average_precision(said, [[(0.0, 10.0), (20.0, 30.0)]], thresholds=(0.5,))
    assert ap[0, 0] == pytest.approx((1 + 2 / 3) / 2)


def test_of_equal_moments_the_last_is_taken() -> None:
    # The first span covers two moments alike and takes the later, so the second finds the earlier.
    truth = [[(0.0, 10.0), (10.0, 20.0)]]
    first = average_precision([[(0, 20, 0.9), (0, 10, 0.8)]], truth, thresholds=(0.5,))
    last = average_precision([[(0, 20, 0.9), (10, 20, 0.8)]], truth, thresholds=(0.5,))
    assert (first[0, 0], last[0, 0]) == (1.0, 0.5)


def test_no_span_is_0_and_no_query_is_an_empty_table() -> None:
    assert average_precision([[], [(0, 1, 1)]], [[(0, 1)], [(0, 1)]])[:, 0].tolist() == [0, 1]
    assert average_precision([], []).shape == (0, 10)
    with pytest.raises(InputError, match="1 predictions for 0 queries"):
        average_precision([[]], [])
