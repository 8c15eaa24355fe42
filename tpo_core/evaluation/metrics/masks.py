"""Region similarity J and boundary measure F of masks, as DAVIS defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016; conventions of the official davis2017-evaluation (`metrics.py`), which MeViS copies. Free
of torch.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tpo_core.evaluation.metrics.contours import Contour, Mask

BOUNDARY_TOLERANCE = 0.008
"""Fraction of the image diagonal within which two boundary pixels match."""

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


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
    return _iou(*_without_void(predicted, truth, void))


def boundary_measure(
    predicted: Mask,
    truth: Mask,
    *,
    void: Mask | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> float:
    """Return F, the harmonic mean of boundary precision and recall.

    A boundary pixel matches if the other mask has one within a Euclidean distance of
    `ceil(tolerance * diagonal)` pixels. A mask that fills the image has no boundary, so against an
    empty one it scores 1.

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
    radius = boundary_radius(truth.shape, tolerance=tolerance)
    return contour_measure(Contour.of(predicted, radius), Contour.of(truth, radius))


def contour_measure(predicted: Contour, truth: Contour) -> float:
    """Return F of two boundaries with the same radius; see `boundary_measure`."""
    if not len(predicted) or not len(truth):
        return float(len(predicted) == len(truth))
    precision = predicted.matched(truth) / len(predicted)
    recall = truth.matched(predicted) / len(truth)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def frame_scores(
    predicted: Masks, truth: Masks, *, void: Masks | None = None
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return J and F of each frame.

    Args:
        predicted: bool `[T, H, W]`, T >= 1.
        truth: bool `[T, H, W]`.
        void: bool `[T, H, W]`, pixels that count in neither mask.

    Returns:
        Two `[T]` in [0, 1].

    Raises:
        ValueError: If the shapes differ or there is no frame.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3 or not len(predicted):
        raise ValueError(
            f"masks have shapes {predicted.shape} and {truth.shape}; expected two equal [T, H, W] "
            "with at least one frame"
        )
    radius = boundary_radius(truth.shape[1:])
    regions, boundaries = np.empty(len(truth)), np.empty(len(truth))
    for index in range(len(truth)):
        ours, theirs = _without_void(
            predicted[index], truth[index], None if void is None else void[index]
        )
        regions[index] = _iou(ours, theirs)
        boundaries[index] = contour_measure(Contour.of(ours, radius), Contour.of(theirs, radius))
    return regions, boundaries


def j_and_f(predicted: Masks, truth: Masks) -> tuple[float, float]:
    """Return the means of J and of F over frames.

    Args:
        predicted: bool `[T, H, W]`, T >= 1.
        truth: bool `[T, H, W]`.

    Raises:
        ValueError: If the shapes differ or there is no frame.
    """
    regions, boundaries = frame_scores(predicted, truth)
    return float(regions.mean()), float(boundaries.mean())


def boundary_radius(shape: tuple[int, ...], *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """Return how many pixels apart boundary pixels of an image of `shape` may be to match."""
    return tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(*shape))


def _iou(predicted: Mask, truth: Mask) -> float:
    shared = np.count_nonzero(predicted & truth)
    union = np.count_nonzero(predicted) + np.count_nonzero(truth) - shared
    return shared / union if union else 1.0


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
