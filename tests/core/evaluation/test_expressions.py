"""Means over frames and expressions, as MeViS takes them."""

from __future__ import annotations

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.expressions import Expression, expression_scores


def test_frames_then_expressions_and_missing_results_score_0() -> None:
    truth = np.zeros((4, 9, 9), bool)
    truth[:2, 2:6, 2:6] = True  # nothing is meant in the last two frames
    half = truth.copy()
    half[0] = False
    found = expression_scores(
        [
            Expression(name="v_0", truth=truth, predicted=half),
            Expression(name="v_1", truth=truth, predicted=None),
        ]
    )
    assert found.each == {"v_0": (0.75, 0.75), "v_1": (0.0, 0.0)}
    assert (found.j, found.f, found.jf) == (0.375, 0.375, 0.375)


def test_masks_of_another_size_are_named() -> None:
    truth = np.zeros((2, 4, 4), bool)
    with pytest.raises(InputError, match=r"v_0: the masks have shape \(2, 8, 8\)"):
        expression_scores(
            [Expression(name="v_0", truth=truth, predicted=np.zeros((2, 8, 8), bool))]
        )
    with pytest.raises(InputError, match="no expression"):
        expression_scores([])
