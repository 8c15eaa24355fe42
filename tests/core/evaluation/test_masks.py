"""J and F against DAVIS' own values, and the corner cases a user meets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tpo_core.evaluation.metrics.contours import boundary
from tpo_core.evaluation.metrics.masks import (
    boundary_measure,
    boundary_radius,
    frame_scores,
    j_and_f,
    region_similarity,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics" / "jf_pairs_A.json"
PAIRS = json.loads(GOLDEN.read_text(encoding="utf-8"))
CASES = list(zip(PAIRS["inputs"], PAIRS["expected"], strict=True))


def read_rle(rle: dict[str, list[int]]) -> NDArray[np.bool_]:
    height, width = rle["size"]
    values = np.arange(len(rle["counts"])) % 2 == 1
    return np.repeat(values, rle["counts"]).reshape(width, height).T


@pytest.mark.parametrize(("given", "expected"), CASES, ids=range(len(CASES)))
def test_equals_the_official_values(given: dict, expected: dict) -> None:
    predicted, truth = read_rle(given["pred"]), read_rle(given["gt"])
    void = read_rle(given["void"]) if "void" in given else None
    assert region_similarity(predicted, truth, void=void) == pytest.approx(expected["J"], abs=1e-12)
    assert boundary_measure(predicted, truth, void=void) == pytest.approx(expected["F"], abs=1e-12)
    assert boundary(truth).sum() == expected["gt_boundary_pixels"]
    assert boundary_radius(truth.shape) == given["bound_pix"]


def test_means_over_frames() -> None:
    truth = np.zeros((2, 8, 8), bool)
    truth[0, 2:6, 2:6] = True
    predicted = truth.copy()
    predicted[1, 0, 0] = True  # nothing is there in frame 1
    assert j_and_f(predicted, truth) == (0.5, 0.5)
    assert j_and_f(truth, truth) == (1.0, 1.0)


def test_tolerance_in_pixels() -> None:
    truth = np.zeros((20, 20), bool)
    truth[5:10, 5:10] = True
    shifted = np.roll(truth, 3, axis=1)
    assert boundary_measure(shifted, truth) < 1
    assert boundary_measure(shifted, truth, tolerance=3) == 1.0


def by_distance(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], radius: float) -> float:
    """F by a distance transform of the whole picture."""
    from scipy.ndimage import distance_transform_edt

    ours, theirs = boundary(predicted), boundary(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = (distance_transform_edt(~theirs)[ours] <= radius).mean()
    recall = (distance_transform_edt(~ours)[theirs] <= radius).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("tolerance", [0.008, 0.05, 1, 2.5, 7])
def test_boundary_measure_equals_a_distance_transform(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        size = tuple(rng.integers(1, 40, 2))
        predicted, truth = (rng.random(size) < rng.choice([0.02, 0.3, 0.95]) for _ in range(2))
        expected = by_distance(predicted, truth, boundary_radius(size, tolerance=tolerance))
        assert boundary_measure(predicted, truth, tolerance=tolerance) == pytest.approx(expected)


def test_each_frame_has_its_scores_and_void_counts_in_neither() -> None:
    truth = np.zeros((2, 10, 10), bool)
    truth[:, 2:6, 2:6] = True
    predicted = np.zeros_like(truth)
    predicted[0, 2:6, 2:8] = True
    void = np.zeros_like(truth)
    void[:, :, 6:] = True
    regions, boundaries = frame_scores(predicted, truth, void=void)
    assert regions.tolist() == [1.0, 0.0]
    assert boundaries.tolist() == [1.0, 0.0]


def test_a_mask_that_fills_the_picture_has_no_boundary() -> None:
    full, empty = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    assert boundary_measure(empty, full) == 1.0
    assert region_similarity(empty, full) == 0.0


def test_unequal_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sizes \(4, 4\) and \(4, 5\); resize"):
        region_similarity(np.zeros((4, 4), bool), np.zeros((4, 5), bool))
    with pytest.raises(ValueError, match="at least one"):
        j_and_f(np.zeros((0, 4, 4), bool), np.zeros((0, 4, 4), bool))
