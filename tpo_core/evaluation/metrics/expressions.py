"""J&F of referring expressions: MeViS' and Ref-YouTube-VOS' means over frames, then expressions.

MeViS: henghuiding/MeViS, `tools/eval_mevis.py`, for the split valid_u, whose masks are released.
Ref-YouTube-VOS is scored by a server whose code is not public; what papers say of it is the same
mean, over the annotated frames (every fifth).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.masks import Masks, frame_scores


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Expression:
    """What one expression refers to and what was segmented for it.

    Args:
        name: Unique, such as `<video>_<expression>`.
        truth: bool `[T, H, W]`: all annotated frames, the union of all objects that are meant.
        predicted: bool `[T, H, W]`; None if there is no result, which scores J = F = 0.
    """

    name: str
    truth: Masks
    predicted: Masks | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionScores:
    """Fractions in [0, 1].

    Args:
        j: Mean over expressions.
        f: Likewise.
        each: J and F of each expression: means over its frames.
    """

    j: float
    f: float
    each: Mapping[str, tuple[float, float]]

    @property
    def jf(self) -> float:
        """J&F, the mean of J and F."""
        return (self.j + self.f) / 2


def expression_scores(expressions: Iterable[Expression]) -> ExpressionScores:
    """Average J and F over all frames of each expression, then over expressions.

    First and last frame count. A frame in which nothing is meant and nothing was segmented scores
    1. MeViS' script scores a video without results 0, and stops at a video whose results lack an
    expression; both score 0 here.

    Args:
        expressions: Read one at a time, so that masks need not all be in memory.

    Raises:
        InputError: If there is no expression, or masks are not of the size of the right ones.
    """
    each: dict[str, tuple[float, float]] = {}
    for expression in expressions:
        predicted, truth = expression.predicted, expression.truth
        if predicted is None:
            each[expression.name] = (0.0, 0.0)
            continue
        if predicted.shape != truth.shape:
            raise InputError(
                f"{expression.name}: the masks have shape {predicted.shape}, the right ones "
                f"{truth.shape}; expected one mask a frame, in the size of the video"
            )
        regions, boundaries = frame_scores(predicted, truth)
        each[expression.name] = (float(regions.mean()), float(boundaries.mean()))
    if not each:
        raise InputError("there is no expression to score; expected at least one")
    j, f = np.mean(list(each.values()), axis=0)
    return ExpressionScores(j=float(j), f=float(f), each=each)
