"""How far a tracker is off in each frame of LaSOT, by three toolkits; see `lasot` for the scores.

Shapes: T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.got10k import clipped_iou
from tpo_core.evaluation.metrics.tracking import BoxRows, Floats, as_boxes, centres

LasotVariant = Literal["matlab", "pytracking", "got10k"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LasotSequence:
    """One sequence and what a tracker made of it.

    Args:
        name: Unique.
        truth: The right boxes, one a frame: left, top, width, height in pixels.
        prediction: The tracker's boxes, one a frame; further rows are cut.
        absent: For each frame whether the target is fully occluded or out of view.
    """

    name: str
    truth: BoxRows
    prediction: BoxRows
    absent: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameErrors:
    """How far a tracker is off in each of T frames.

    Args:
        overlap: IoU; -1 where it is a miss in any case.
        centre: Distance of centres in pixels; infinity is a miss, -1 a hit in any case.
        normalised: Distance in widths and heights of the right box; likewise.
        valid: Whether the target is there and its box is valid.
    """

    overlap: Floats
    centre: Floats
    normalised: Floats
    valid: NDArray[np.bool_]


def frame_errors(sequence: LasotSequence, *, variant: LasotVariant = "matlab") -> FrameErrors:
    """Return the errors of each frame.

    A predicted box without area is replaced by the previous frame's, which may be a replaced one
    itself or the tracker's own box of the first frame; `matlab` treats NaN likewise.

    Args:
        sequence: The sequence.
        variant: Whose toolkit.

    Raises:
        InputError: If a frame has no prediction, or, where `pytracking` stops too, a box has a
            negative side or NaN.
    """
    truth = as_boxes(sequence.truth, what=f"{sequence.name}: the right boxes")
    boxes = as_boxes(sequence.prediction, what=f"{sequence.name}: the predictions")
    if len(boxes) < len(truth) or len(sequence.absent) != len(truth):
        raise InputError(
            f"{sequence.name} has {len(truth)} frames, {len(boxes)} predictions and "
            f"{len(sequence.absent)} flags of absence; expected one a frame"
        )
    boxes = boxes[: len(truth)]
    if variant == "got10k":
        return _got10k_errors(boxes, truth)
    if variant == "pytracking":
        _refuse_broken(boxes, sequence.name)
    boxes = _repaired(boxes, truth)
    boxes[0] = truth[0]
    absent = np.asarray(sequence.absent, bool)
    valid = (truth > 0).all(1) & ~absent
    overlap = np.where(valid, _iou_of_pixels(boxes, truth), -1.0)
    centre = np.linalg.norm(centres(boxes) - centres(truth), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = centres(boxes) / truth[:, 2:] - centres(truth) / truth[:, 2:]
    normalised = np.linalg.norm(scaled, axis=1)
    # An error of -1 is within every threshold, an infinite one within none.
    invalid_centre = np.inf if variant == "pytracking" else -1.0
    return FrameErrors(
        overlap=overlap,
        centre=np.where(valid, centre, np.where(absent, np.inf, invalid_centre)),
        normalised=np.where(valid, normalised, np.where(absent, np.inf, -1.0)),
        valid=valid,
    )


def _refuse_broken(boxes: Floats, name: str) -> None:
    broken = np.flatnonzero(np.isnan(boxes).any(1) | (boxes[:, 2:] < 0).any(1))
    if broken.size:
        raise InputError(
            f"{name}: frame {broken[0]} has the box {boxes[broken[0]].tolist()}; expected sides of "
            "0 or more and no NaN, at which pytracking stops"
        )


def _repaired(boxes: Floats, truth: Floats) -> Floats:
    """Return boxes with the last good one in the place of each without area or with NaN."""
    bad = np.isnan(boxes).any(1) | (boxes[:, 2:] <= 0).any(1)
    kept = ~bad | np.isnan(truth).any(1)
    # Where none is good so far, the first box is taken as it is.
    return boxes[np.maximum.accumulate(np.where(kept, np.arange(len(boxes)), 0))]


def _iou_of_pixels(a: Floats, b: Floats) -> Floats:
    """Return the IoU as both toolkits write it, with the last pixel inside, for the same ties."""
    last = np.minimum(a[:, :2] + a[:, 2:] - 1, b[:, :2] + b[:, 2:] - 1)
    shared = (last - np.maximum(a[:, :2], b[:, :2]) + 1).clip(0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: Floats = shared / union
    return iou


def _got10k_errors(boxes: Floats, truth: Floats) -> FrameErrors:
    boxes[0] = truth[0]
    apart = centres(boxes) - centres(truth)
    return FrameErrors(
        overlap=clipped_iou(boxes, truth, size=None),
        centre=np.linalg.norm(apart, axis=1),
        normalised=np.linalg.norm(apart / np.maximum(1.0, truth[:, 2:]), axis=1),
        valid=np.ones(len(truth), dtype=bool),
    )
