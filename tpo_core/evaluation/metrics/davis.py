"""J and F of whole sequences as DAVIS 2017 scores them; the unsupervised task is Ref-DAVIS17's.

davisvideochallenge/davis2017-evaluation, `evaluation.py`, `results.py` and `utils.py`.

Shapes: T frames, N objects, P proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.contours import Contour
from tpo_core.evaluation.metrics.masks import Floats, boundary_radius, contour_measure

DavisTask = Literal["semi-supervised", "unsupervised"]
Labels = NDArray[np.integer[Any]]

VOID: Final = 255
MAX_PROPOSALS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DavisSequence:
    """One sequence: a label for each pixel, 0 for the background.

    Args:
        name: Unique.
        truth: `[T, H, W]`, objects from 1 on, 255 for pixels that were not labelled.
        predicted: `[T, H, W]`, objects or proposals from 1 on.
    """

    name: str
    truth: Labels
    predicted: Labels


@dataclass(frozen=True, kw_only=True, slots=True)
class DavisFigures:
    """Of one object, or means over objects; fractions in [0, 1].

    Args:
        j: Mean J over frames.
        j_recall: Share of frames with J above 0.5.
        j_decay: Mean J of the first quarter of frames less that of the last.
        f: The same for F.
        f_recall: Likewise.
        f_decay: Likewise.
    """

    j: float
    j_recall: float
    j_decay: float
    f: float
    f_recall: float
    f_decay: float

    @property
    def jf(self) -> float:
        """J&F, the mean of J and F."""
        return (self.j + self.f) / 2


def davis_scores(
    sequences: Iterable[DavisSequence], *, task: DavisTask
) -> tuple[DavisFigures, dict[str, DavisFigures]]:
    """Return means over the objects of all sequences, and the figures of each object.

    The objects of a sequence are the labels of its first frame; one that appears later is ignored.

    `semi-supervised`: object k is compared with label k. First and last frame do not count, void
    counts as background, a label without a pixel is an empty mask.

    `unsupervised`: up to 20 proposals are assigned to objects so that the mean of J and F is
    highest. All frames count, void pixels are ignored. `<sequence>_<k>` names the k-th assigned
    proposal, which need not be object k's: official, and without effect on the means.

    Args:
        sequences: Read one at a time.
        task: Which rules.

    Raises:
        InputError: If there is no object, sizes differ, a semi-supervised sequence has less than
            three frames or a label that is no object's, or there are too many proposals.
    """
    each: dict[str, DavisFigures] = {}
    for sequence in sequences:
        regions, boundaries = _SCORERS[task](sequence)
        for number, (j_T, f_T) in enumerate(zip(regions, boundaries, strict=True), start=1):
            each[f"{sequence.name}_{number}"] = _figures(j_T, f_T)
    if not each:
        raise InputError("no sequence has an object in its first frame; is the ground truth right?")
    return mean_figures(list(each.values())), each


def mean_figures(figures: Sequence[DavisFigures]) -> DavisFigures:
    """Average figures: over objects, or over the four annotators of Ref-DAVIS17.

    Args:
        figures: At least one.
    """
    table = [(o.j, o.j_recall, o.j_decay, o.f, o.f_recall, o.f_decay) for o in figures]
    j, j_recall, j_decay, f, f_recall, f_decay = (float(x) for x in np.mean(table, axis=0))
    return DavisFigures(
        j=j, j_recall=j_recall, j_decay=j_decay, f=f, f_recall=f_recall, f_decay=f_decay
    )


def _semi_supervised(sequence: DavisSequence) -> tuple[Floats, Floats]:
    truth, predicted, objects = _checked(sequence)
    if len(truth) < 3:
        raise InputError(
            f"{sequence.name} has {len(truth)} frames; expected three or more, since the first and "
            "the last do not count"
        )
    truth, predicted = truth[1:-1], predicted[1:-1]
    highest = int(predicted.max())
    if highest > objects:
        raise InputError(
            f"{sequence.name} has {objects} objects, and a prediction with label {highest}; use "
            "the labels of the first frame"
        )
    regions, boundaries = _scores(truth, predicted, objects, objects, void=False)
    diagonal = np.arange(objects)
    return regions[diagonal, diagonal], boundaries[diagonal, diagonal]


def _unsupervised(sequence: DavisSequence) -> tuple[Floats, Floats]:
    from scipy.optimize import linear_sum_assignment

    truth, predicted, objects = _checked(sequence)
    highest = int(predicted.max())
    if highest > MAX_PROPOSALS:
        raise InputError(
            f"{sequence.name} has a prediction with label {highest}; up to {MAX_PROPOSALS} "
            "proposals are allowed, numbered from 1"
        )
    proposals = max(highest, objects)
    regions, boundaries = _scores(truth, predicted, objects, proposals, void=True)
    chosen, object_of = linear_sum_assignment(-(regions.mean(2) + boundaries.mean(2)) / 2)
    return regions[chosen, object_of], boundaries[chosen, object_of]


_SCORERS: Final = {"semi-supervised": _semi_supervised, "unsupervised": _unsupervised}


def _checked(sequence: DavisSequence) -> tuple[Labels, Labels, int]:
    truth, predicted = np.asarray(sequence.truth), np.asarray(sequence.predicted)
    if truth.shape != predicted.shape or truth.ndim != 3 or not len(truth):
        raise InputError(
            f"{sequence.name}: the right labels have shape {truth.shape} and the predicted ones "
            f"{predicted.shape}; expected two equal [frames, height, width]"
        )
    return truth, predicted, int(np.where(truth[0] == VOID, 0, truth[0]).max())


def _scores(
    truth: Labels, predicted: Labels, objects: int, proposals: int, *, void: bool
) -> tuple[Floats, Floats]:
    """Return J and F of each proposal with each object in each frame, `[P, N, T]` both."""
    shape = (proposals, objects, len(truth))
    regions, boundaries = np.ones(shape), np.zeros(shape)
    radius = boundary_radius(truth.shape[1:])
    for frame, (right, said) in enumerate(zip(truth, predicted, strict=True)):
        if void:
            said = np.where(right == VOID, 0, said)
        right = np.where(right > objects, 0, right)
        pairs = right.astype(np.int64) * (proposals + 1) + said
        table = np.bincount(pairs.ravel(), minlength=(objects + 1) * (proposals + 1))
        shared = table.reshape(objects + 1, proposals + 1)
        areas, sizes = shared.sum(1)[1:], shared.sum(0)[1:]
        shared = shared[1:, 1:].T
        union = sizes[:, None] + areas - shared
        np.divide(shared, union, out=regions[:, :, frame], where=union > 0)
        theirs = [Contour.of(right == label, radius) for label in range(1, objects + 1)]
        for proposal in range(proposals):
            ours = Contour.of(said == proposal + 1, radius)
            boundaries[proposal, :, frame] = [contour_measure(ours, other) for other in theirs]
    return regions, boundaries


def _figures(j_T: Floats, f_T: Floats) -> DavisFigures:
    return DavisFigures(
        j=float(j_T.mean()),
        j_recall=float((j_T > 0.5).mean()),
        j_decay=_decay(j_T),
        f=float(f_T.mean()),
        f_recall=float((f_T > 0.5).mean()),
        f_decay=_decay(f_T),
    )


def _decay(values_T: Floats) -> float:
    """Return the mean of the first quarter of frames less that of the last.

    The official code keeps frame numbers in 8 bits: beyond 256 frames the quarters are wrong, and
    an empty one gives NaN.
    """
    edges = np.round(np.linspace(1, len(values_T), 5) + 1e-10).astype(np.int64) - 1 & 255
    first, last = values_T[edges[0] : edges[1] + 1], values_T[edges[3] : edges[4] + 1]
    return float(first.mean() - last.mean()) if first.size and last.size else float("nan")
