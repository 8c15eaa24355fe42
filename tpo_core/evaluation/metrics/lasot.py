"""LaSOT's one-pass evaluation: success, precision and normalised precision.

Three toolkits compute it, and their numbers must not be mixed:

- `matlab`: HengLan/LaSOT_Evaluation_Toolkit, by the authors. A visible frame whose right box is
  invalid (one of its four numbers is 0 or less) is a success miss and a precision *hit* at every
  threshold, since its errors are set to -1. A sequence whose whole curve is 0 is left out.
- `pytracking`: visionml/pytracking, `analysis`. The same, but such a frame is a precision miss
  and a *hit* of normalised precision, and no sequence is left out. Its float32 is not copied
  (differences below 1e-4 points).
- `got10k`: got-10k/toolkit, `experiments/lasot.py`. Ignores absence, keeps empty predicted boxes,
  divides errors by at least one pixel, and its normalised precision is the *mean* of the curve (as
  on TrackingNet), not its value at 0.2. Values are points higher.

In all of them the first frame's prediction is replaced by the right box and counted, rows after the
last frame are cut, curves are averaged over sequences, and AUC is the mean of 21 values. In the
first two, frames without the target are never a hit but stay in the denominator: a perfect tracker
scores below 1.

Shapes: S sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.lasot_frames import LasotSequence, LasotVariant, frame_errors
from tpo_core.evaluation.metrics.tracking import Floats, count_above, count_within

OVERLAP_THRESHOLDS: Final[Floats] = np.arange(21, dtype=np.float64) * 0.05
PIXEL_THRESHOLDS: Final[Floats] = np.arange(51, dtype=np.float64)
NORMALISED_THRESHOLDS: Final[Mapping[LasotVariant, Floats]] = {
    "matlab": np.arange(51) / 100,
    "pytracking": np.arange(51) / 100,
    # Equal but for the last digit of some.
    "got10k": np.linspace(0, 0.5, 51, dtype=np.float64),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LasotScores:
    """Fractions in [0, 1]; the figures a paper reports times 100.

    Args:
        auc: Success: mean of the success curve.
        op50: Share of frames with an IoU above 0.5.
        op75: The same above 0.75.
        precision: Share of frames with centres not more than 20 pixels apart.
        normalised_precision: The same with 0.2 (`got10k`: mean over 0 to 0.5).
        success_curve: `[21]`, over IoU 0, 0.05, ..., 1.
        precision_curve: `[51]`, over 0, 1, ..., 50 pixels.
        normalised_precision_curve: `[51]`, over 0, 0.01, ..., 0.5.
    """

    auc: float
    op50: float
    op75: float
    precision: float
    normalised_precision: float
    success_curve: Floats
    precision_curve: Floats
    normalised_precision_curve: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LasotCurves:
    """Curves of each of S sequences, as shares of frames; see `LasotScores`.

    Args:
        names: Of the sequences.
        success: `[S, 21]`.
        precision: `[S, 51]`.
        normalised_precision: `[S, 51]`.
        overlap: `[S]`, mean IoU over valid frames; NaN without one.
    """

    names: tuple[str, ...]
    success: Floats
    precision: Floats
    normalised_precision: Floats
    overlap: Floats


def lasot_curves(
    sequences: Iterable[LasotSequence],
    *,
    variant: LasotVariant = "matlab",
    valid_frames_only: bool = False,
) -> LasotCurves:
    """Return the curves of each sequence.

    Args:
        sequences: Read one at a time.
        variant: Whose toolkit.
        valid_frames_only: Divide by the number of valid frames, pytracking's option
            `exclude_invalid_frames`, so that a perfect tracker reaches 1.

    Raises:
        InputError: If there is no sequence, or one cannot be scored; see `frame_errors`.
    """
    names, success, precision, normalised, overlap = [], [], [], [], []
    within = NORMALISED_THRESHOLDS[variant]
    for sequence in sequences:
        errors = frame_errors(sequence, variant=variant)
        frames = int(errors.valid.sum()) if valid_frames_only else len(errors.valid)
        if not frames:
            raise InputError(f"{sequence.name} has no frame that counts; leave it out")
        names.append(sequence.name)
        success.append(count_above(errors.overlap, OVERLAP_THRESHOLDS) / frames)
        precision.append(count_within(errors.centre, PIXEL_THRESHOLDS) / frames)
        normalised.append(count_within(errors.normalised, within) / frames)
        valid = errors.overlap[errors.valid]
        overlap.append(valid.mean() if valid.size else np.nan)
    if not names:
        raise InputError("there is no sequence to score; expected at least one")
    return LasotCurves(
        names=tuple(names),
        success=np.array(success),
        precision=np.array(precision),
        normalised_precision=np.array(normalised),
        overlap=np.array(overlap),
    )


def lasot_scores(curves: LasotCurves, *, variant: LasotVariant = "matlab") -> LasotScores:
    """Average curves over sequences, each with the same weight, and reduce them to figures.

    Args:
        curves: Of the same variant.
        variant: Whose toolkit.
    """
    success, precision, normalised = (
        _mean_curve(each, variant)
        for each in (curves.success, curves.precision, curves.normalised_precision)
    )
    return LasotScores(
        auc=float(success.mean()),
        op50=float(success[10]),
        op75=float(success[15]),
        precision=float(precision[20]),
        normalised_precision=float(normalised.mean() if variant == "got10k" else normalised[20]),
        success_curve=success,
        precision_curve=precision,
        normalised_precision_curve=normalised,
    )


def _mean_curve(curves: Floats, variant: LasotVariant) -> Floats:
    if variant == "matlab":
        kept = curves[curves.sum(1) > np.finfo(np.float64).eps]
        curves = kept if len(kept) else curves
    mean: Floats = curves.mean(0)
    return mean
