"""Highlight detection as on QVHighlights: mAP and HIT@1 of a score for each 2 s clip.

jayleicn/moment_detr, `standalone_eval/eval.py` and `utils.py` (`get_ap`).

Shapes: Q queries, C clips (of the longest video), W workers who graded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CLIP_SECONDS: Final = 2
WORKERS: Final = 3
GRADES: Final[Mapping[str, int]] = {"Fair": 2, "Good": 3, "VeryGood": 4}
"""The lowest grade at which a clip is a highlight; papers report `VeryGood`."""

Floats = NDArray[np.float64]


def clip_grades(row: Mapping[str, Any]) -> Floats:
    """Return the grades of a video's clips, 0 for those outside the moments.

    Args:
        row: A row of the release: `duration` in seconds, `relevant_clip_ids`, `saliency_scores`.

    Returns:
        `[C, W]` in 0..4, with C = int(duration / 2): half a clip at the end does not count.
    """
    grades = np.zeros((int(row["duration"] / CLIP_SECONDS), WORKERS))
    grades[np.asarray(row["relevant_clip_ids"], dtype=int)] = row["saliency_scores"]
    return grades


def highlight_hits(
    predicted: Sequence[Sequence[float]], grades: Sequence[Floats], *, lowest: int
) -> NDArray[np.bool_]:
    """Return for each query whether the clip with the highest score is a highlight to any worker.

    The first of equal scores counts; a clip beyond the end of the video is a miss.

    Args:
        predicted: For each query one score a clip, in any unit; their number may be wrong.
        grades: For each query `[C, W]`.
        lowest: The lowest grade of a highlight.

    Returns:
        bool `[Q]`.
    """
    best = [int(np.argmax(scores)) if len(scores) else 0 for scores in predicted]
    hits = [
        bool((graded[clip] >= lowest).any()) if clip < min(len(graded), len(scores)) else False
        for clip, scores, graded in zip(best, predicted, grades, strict=True)
    ]
    return np.array(hits, dtype=bool)


def highlight_ap(
    predicted: Sequence[Sequence[float]], grades: Sequence[Floats], *, lowest: int
) -> Floats:
    """Return the average precision of each query's scores for each worker.

    Scores are cut to the number of clips, or filled up with zeros. AP is the mean, over the
    distinct scores at which recall grows, of the precision reached there or at a lower score;
    clips of one score count at once. Without a highlight AP is 0, with nothing else it is 1.

    Args:
        predicted: For each query one score a clip.
        grades: For each query `[C, W]`.
        lowest: The lowest grade of a highlight.

    Returns:
        `[Q, W]` in [0, 1].
    """
    if not len(grades):
        return np.zeros((0, WORKERS))
    counts_Q = np.array([len(graded) for graded in grades])
    there_QC = np.arange(max(1, counts_Q.max())) < counts_Q[:, None]
    right_QCW = np.zeros((*there_QC.shape, WORKERS), dtype=bool)
    right_QCW[there_QC] = np.concatenate(grades) >= lowest
    scores_QC = np.where(there_QC, 0.0, -np.inf)
    for scores, said, count in zip(scores_QC, predicted, counts_Q, strict=True):
        scores[: min(count, len(said))] = said[:count]

    order_QC = np.argsort(-scores_QC, axis=1, kind="stable")
    scores_QC = np.take_along_axis(scores_QC, order_QC, 1)
    right_QCW = np.take_along_axis(right_QCW, order_QC[..., None], 1)
    # A clip is the last of its score if the next has another; clips past the end have none.
    last_QC = there_QC.copy()
    last_QC[:, :-1] &= scores_QC[:, 1:] != scores_QC[:, :-1]
    found_QCW = right_QCW.cumsum(1)
    rank_C1 = np.arange(1, there_QC.shape[1] + 1)[:, None]
    precision = np.where(last_QC[..., None], found_QCW / rank_C1, 0.0)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    grows_QCW = last_QC[..., None] & (found_QCW > _found_before(found_QCW, last_QC))
    steps_QW = grows_QCW.sum(1)
    ap = np.where(grows_QCW, precision, 0.0).sum(1) / np.maximum(steps_QW, 1)
    all_right_QW = found_QCW[:, -1] == counts_Q[:, None]
    return np.where(all_right_QW & (counts_Q[:, None] > 0), 1.0, ap)


def _found_before(found_QCW: NDArray[np.int64], last_QC: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many highlights were found before the clips of the same score."""
    at_ends = np.maximum.accumulate(np.where(last_QC[..., None], found_QCW, 0), axis=1)
    before: NDArray[np.int64] = np.concatenate(
        [np.zeros_like(at_ends[:, :1]), at_ends[:, :-1]], axis=1
    )
    return before
