"""Region similarity J and boundary measure F of masks, as DAVIS defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016; conventions of the official davis2017-evaluation. Free of torch.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BOUNDARY_TOLERANCE = 0.008
"""Fraction of the image diagonal within which two boundary pixels match."""

Mask = NDArray[np.bool_]


def region_similarity(predicted: Mask, truth: Mask, *, void: Mask | None = None) -> float:
    """Return J, the intersection over union of two masks.

    Args:
        predicted: bool `[H, W]`.
        truth: bool `[H, W]`.
        void: bool `[H, W]`, pixels that count in neither mask.

    Returns:
        A value in [0, 1]; 1 if both masks are empty.

    Raises:
        ValueError: If the shapes differ.
    """
    predicted, truth = _without_void(predicted, truth, void)
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def boundary_measure(
    predicted: Mask,
    truth: Mask,
    *,
    void: Mask | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> float:
    """Return F, the harmonic mean of boundary precision and recall.

    A boundary pixel matches if the other mask has one within a Euclidean distance of
    `ceil(tolerance * diagonal)` pixels.

    Args:
        predicted: bool `[H, W]`.
        truth: bool `[H, W]`.
        void: bool `[H, W]`, pixels that count in neither mask.
        tolerance: Fraction of the image diagonal; from 1 on, pixels.

    Returns:
        A value in [0, 1]; 1 if neither mask has a boundary, 0 if only one has.

    Raises:
        ValueError: If the shapes differ.
    """
    predicted, truth = _without_void(predicted, truth, void)
    ours, theirs = boundary(predicted), boundary(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    radius = boundary_radius(truth.shape, tolerance=tolerance)
    precision = np.count_nonzero(ours & _near(theirs, radius)) / np.count_nonzero(ours)
    recall = np.count_nonzero(theirs & _near(ours, radius)) / np.count_nonzero(theirs)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def j_and_f(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the means of J and of F over frames.

    Args:
        predicted: bool `[T, H, W]`, T >= 1.
        truth: bool `[T, H, W]`.

    Raises:
        ValueError: If the shapes differ or there is no frame.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3 or not len(predicted):
        raise ValueError(
            f"masks have shapes {predicted.shape} and {truth.shape}; expected two equal [T, H, W] "
            "with at least one frame"
        )
    pairs = list(zip(predicted, truth, strict=True))
    regions = [region_similarity(ours, theirs) for ours, theirs in pairs]
    boundaries = [boundary_measure(ours, theirs) for ours, theirs in pairs]
    return float(np.mean(regions)), float(np.mean(boundaries))


def boundary(mask: Mask) -> Mask:
    """Return the pixels that differ from their right, lower or lower-right neighbour.

    The last row compares with the right alone, the last column with the lower alone, the corner
    with none; a mask that fills the image has no boundary.

    Args:
        mask: bool `[H, W]`.
    """
    right, lower, corner = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1] = mask[:, 1:]
    lower[:-1] = mask[1:]
    corner[:-1, :-1] = mask[1:, 1:]
    edges: Mask = (mask ^ right) | (mask ^ lower) | (mask ^ corner)
    return edges


def boundary_radius(shape: tuple[int, ...], *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """Return how many pixels apart boundary pixels of an image of `shape` may be to match."""
    return tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(*shape))


def _near(mask: Mask, radius: float) -> Mask:
    from scipy.ndimage import distance_transform_edt

    near: Mask = distance_transform_edt(~mask) <= radius
    return near


def _without_void(predicted: Mask, truth: Mask, void: Mask | None) -> tuple[Mask, Mask]:
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks have sizes {predicted.shape} and {truth.shape}; resize the prediction to the "
            "size of the annotation"
        )
    if void is None:
        return predicted, truth
    keep = ~np.asarray(void, bool)
    return predicted & keep, truth & keep
