"""The whole report of QVHighlights: moments by length and highlights, as its authors print it.

jayleicn/moment_detr, `standalone_eval/eval.py` (`eval_submission`); TPO has a copy with small
changes in `inference/third_party/cgdetr/standalone_eval/eval.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.highlights import GRADES, clip_grades, highlight_ap, highlight_hits
from tpo_core.evaluation.metrics.moment_map import AP_THRESHOLDS, average_precision
from tpo_core.evaluation.metrics.moments import first_span_iou

LENGTHS: Final[Mapping[str, tuple[float, float]]] = {
    "short": (0, 10),
    "middle": (10, 30),
    "long": (30, 150),
    "full": (0, 150),
}
"""Lengths of right moments in seconds: more than the first, up to the second; `full` takes all."""

Variant = Literal["official", "tpo"]
R1_THRESHOLDS: Final[Mapping[Variant, tuple[float, ...]]] = {
    "official": AP_THRESHOLDS,
    "tpo": tuple(round(0.3 + 0.05 * step, 2) for step in range(14)),
}
_BRIEF_R1: Final[Mapping[Variant, tuple[str, ...]]] = {
    "official": ("0.5", "0.7"),
    "tpo": ("0.3", "0.5", "0.7"),
}

Row = Mapping[str, Any]
Report = dict[str, Any]


def qvhighlights_report(
    predictions: Sequence[Row],
    ground_truth: Sequence[Row],
    *,
    variant: Variant = "official",
    match_ids: bool = True,
    strict: bool = False,
) -> Report:
    """Return every figure of the official evaluation, in percent with 2 decimals.

    Oddities, all official: R1 takes the first span of a query, not the one with the best score. For
    a range of lengths only right moments of such a length are kept and queries without one are left
    out, while predictions are not filtered. Queries with an empty list of spans are left out of
    mAP, and R1 cannot be computed with one. A range without a query is NaN (0 in TPO's copy).

    Args:
        predictions: Rows of a submission: `qid`, `pred_relevant_windows` ((start s, end s, score)
            in the order of the file) and, for highlights, `pred_saliency_scores` (one a clip).
        ground_truth: Rows of the release: `qid`, `relevant_windows`, and for highlights `duration`,
            `relevant_clip_ids` and `saliency_scores`.
        variant: `tpo` has R1 from IoU 0.3 on and the mean IoU.
        match_ids: Refuse predictions whose ids are not exactly those of the ground truth. If not,
            only ids in both count.
        strict: Count an empty list of spans as AP 0 and a miss.

    Returns:
        `brief` with the main figures by their official names, each range of lengths with `MR-mAP`,
        `MR-R1` (and `MR-mIoU` for TPO) by IoU, and `HL-min-Fair`, `-Good` and `-VeryGood` with
        `HL-mAP` and `HL-Hit1`. Moments or highlights are absent if the first prediction lacks them.

    Raises:
        InputError: If ids do not match or occur twice, nothing is left, or, unless strict, a query
            has an empty list of spans.
    """
    said, truth = _matched(predictions, ground_truth, match_ids=match_ids)
    report: Report = {}
    brief: Report = {}
    if "pred_relevant_windows" in said[0]:
        empty = [row["qid"] for row in said if not row["pred_relevant_windows"]]
        if empty and not strict:
            raise InputError(
                f"{len(empty)} queries have no span (qid {', '.join(map(str, empty[:10]))}), and "
                "the official R1 cannot be computed; predict a span, or score with strict=True, "
                "which counts them as misses"
            )
        report |= {name: _by_length(said, truth, name, variant) for name in LENGTHS}
        brief |= _brief(report, variant)
    if "pred_saliency_scores" in said[0]:
        highlights = _highlights(said, truth)
        report |= highlights
        brief |= {
            f"{level}-{name.removeprefix('HL-')}": value
            for level, figures in highlights.items()
            for name, value in figures.items()
        }
    return {"brief": brief, **report}


def moment_map(
    predictions: Sequence[Row], ground_truth: Sequence[Row], *, strict: bool = False
) -> dict[str, float]:
    """Return mAP at each IoU and its `average`, in percent with 2 decimals.

    Args:
        predictions: Rows of a submission.
        ground_truth: Rows of the release with the same ids.
        strict: Count queries with an empty list of spans as 0, where the official mean leaves
            them out and so rises.

    Raises:
        InputError: If ids do not match or occur twice, or nothing is left.
    """
    said, truth = _matched(predictions, ground_truth, match_ids=True)
    return _map(said, truth, strict=strict, empty=float("nan"))


def _by_length(said: Sequence[Row], truth: Sequence[Row], name: str, variant: Variant) -> Report:
    shortest, longest = LENGTHS[name]
    windows = [
        [w for w in row["relevant_windows"] if name == "full" or shortest < w[1] - w[0] <= longest]
        for row in truth
    ]
    said = [row for row, kept in zip(said, windows, strict=True) if kept]
    truth = [{"relevant_windows": kept} for kept in windows if kept]
    empty = 0.0 if variant == "tpo" else float("nan")
    iou = first_span_iou(
        [row["pred_relevant_windows"] for row in said], [row["relevant_windows"] for row in truth]
    )
    figures: Report = {
        "MR-mAP": _map(said, truth, strict=True, empty=empty),
        "MR-R1": {
            str(level): _percent(iou >= level, empty=empty) for level in R1_THRESHOLDS[variant]
        },
    }
    return {"MR-mIoU": _percent(iou, empty=empty), **figures} if variant == "tpo" else figures


def _map(
    said: Sequence[Row], truth: Sequence[Row], *, strict: bool, empty: float
) -> dict[str, float]:  # fmt: skip
    pairs = [
        (row["pred_relevant_windows"], right["relevant_windows"])
        for row, right in zip(said, truth, strict=True)
        if strict or row["pred_relevant_windows"]
    ]
    ap = average_precision([spans for spans, _ in pairs], [moments for _, moments in pairs])
    figures = {
        str(level): _percent(ap[:, number], empty=empty)
        for number, level in enumerate(AP_THRESHOLDS)
    }
    return {**figures, "average": _percent(ap.mean(0) if len(ap) else ap, empty=empty)}


def _highlights(said: Sequence[Row], truth: Sequence[Row]) -> dict[str, dict[str, float]]:
    scores = [row["pred_saliency_scores"] for row in said]
    grades = [clip_grades(row) for row in truth]
    return {
        f"HL-min-{name}": {
            "HL-mAP": _percent(highlight_ap(scores, grades, lowest=lowest), empty=0.0),
            "HL-Hit1": _percent(highlight_hits(scores, grades, lowest=lowest), empty=0.0),
        }
        for name, lowest in GRADES.items()
    }


def _brief(report: Report, variant: Variant) -> Report:
    full = report["full"]
    return {
        **{f"MR-full-R1@{level}": full["MR-R1"][level] for level in _BRIEF_R1[variant]},
        **{f"MR-full-mAP@{level}": full["MR-mAP"][level] for level in ("0.5", "0.75")},
        **({"MR-full-mIoU": full["MR-mIoU"]} if variant == "tpo" else {}),
        **{f"MR-{name}-mAP": report[name]["MR-mAP"]["average"] for name in LENGTHS},
    }


def _matched(
    predictions: Sequence[Row], ground_truth: Sequence[Row], *, match_ids: bool
) -> tuple[list[Row], list[Row]]:
    """Return predictions, and the ground truth in their order."""
    said, truth = _by_id(predictions, "predictions"), _by_id(ground_truth, "the ground truth")
    if match_ids and said.keys() != truth.keys():
        raise InputError(
            f"the predictions lack {len(truth.keys() - said.keys())} qids of the ground truth and "
            f"have {len(said.keys() - truth.keys())} that it lacks; predict every query, or allow "
            "other ids (match_ids=False), which scores those in both"
        )
    shared = [qid for qid in said if qid in truth]
    if not shared:
        raise InputError("no qid of the predictions is in the ground truth; is it another split?")
    return [said[qid] for qid in shared], [truth[qid] for qid in shared]


def _by_id(rows: Sequence[Row], what: str) -> dict[Hashable, Row]:
    by_id = {row["qid"]: row for row in rows}
    if len(by_id) != len(rows):
        raise InputError(f"{len(rows) - len(by_id)} qids occur more than once in {what}")
    return by_id


def _percent(values: np.ndarray[Any, Any], *, empty: float) -> float:
    return round(100 * float(values.mean()), 2) if values.size else empty
