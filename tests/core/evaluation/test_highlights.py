"""Highlight detection against a plain loop over the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpo_core.evaluation.metrics.highlights import clip_grades, highlight_ap, highlight_hits


def by_loop(scores: Any, right: Any) -> float:
    """AP with all clips of one score in one step."""
    if all(right) or not any(right):
        return float(all(right))
    steps = []
    for level in sorted(set(scores), reverse=True):
        chosen = [r for s, r in zip(scores, right, strict=True) if s >= level]
        steps.append((sum(chosen), sum(chosen) / len(chosen)))
    found, terms = 0, []
    for index, (hits, _) in enumerate(steps):
        if hits > found:
            terms.append(max(precision for _, precision in steps[index:]))
        found = hits
    return sum(terms) / len(terms)


def test_equals_the_definition_on_random_videos() -> None:
    rng = np.random.default_rng(0)
    grades = [rng.integers(0, 5, (rng.integers(1, 20), 3)).astype(float) for _ in range(150)]
    scores = [np.round(rng.normal(size=len(g)), rng.integers(0, 3)).tolist() for g in grades]
    for lowest in (0, 2, 4):
        ap = highlight_ap(scores, grades, lowest=lowest)
        expected = [
            [by_loop(said, (graded[:, worker] >= lowest).tolist()) for worker in range(3)]
            for said, graded in zip(scores, grades, strict=True)
        ]
        assert np.abs(ap - expected).max() < 1e-12


def test_scores_are_cut_or_filled_up_with_zeros() -> None:
    grades = [np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4]], dtype=float)]
    short, full = [[0.5, -0.5]], [[0.5, -0.5, 0.0]]
    long = [[0.5, -0.5, 0.0, 9.0]]
    expected = highlight_ap(full, grades, lowest=4)
    assert (highlight_ap(short, grades, lowest=4) == expected).all()
    assert (highlight_ap(long, grades, lowest=4) == expected).all()
    assert expected[0].tolist() == pytest.approx([1, 1 / 3, 1 / 2])


def test_hit_at_1_takes_the_first_best_clip_and_any_worker() -> None:
    grades = [np.array([[0, 0, 4], [4, 4, 4]], dtype=float)]
    assert highlight_hits([[1.0, 1.0]], grades, lowest=4).tolist() == [True]
    assert highlight_hits([[1.0, 0.0]], grades, lowest=4).tolist() == [True]
    assert highlight_hits([[0.0, 0.0, 5.0]], grades, lowest=4).tolist() == [False]
    assert highlight_hits([[]], grades, lowest=4).tolist() == [False]


def test_half_a_clip_at_the_end_does_not_count() -> None:
    row = {"duration": 5, "relevant_clip_ids": [1], "saliency_scores": [[1, 2, 3]]}
    assert clip_grades(row).tolist() == [[0, 0, 0], [1, 2, 3]]
