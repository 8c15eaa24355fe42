"""Score an answer against the targets of a record's branch, task by task.

Targets and results of a task are matched in the order of the text. A target without a result scores
0, a result without a target is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpo_core.evaluation import Score
from tpo_core.evaluation.metrics.boxes import box_iou
from tpo_core.evaluation.metrics.chat import exact_match
from tpo_core.evaluation.metrics.masks import j_and_f
from tpo_core.evaluation.metrics.moments import span_iou
from tpo_core.records.schema import MaskTarget, RegionTarget, TemporalTarget
from tpo_core.results import Box, MaskTrack, Moments, Result

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tpo_core.inference import Answer

REGION_THRESHOLD = 0.5
TEMPORAL_THRESHOLDS = (0.5, 0.7)
Values = dict[str, float]


def score_region(target: RegionTarget, result: Result | None) -> Values:
    """Return whether the box overlaps the true one by an IoU of 0.5 or more, and the IoU."""
    iou = 0.0
    if isinstance(result, Box):
        iou = float(box_iou([result.xyxy], [target.box])[0])
    return {f"region_acc@{REGION_THRESHOLD}": float(iou >= REGION_THRESHOLD), "region_iou": iou}


def score_temporal(target: TemporalTarget, result: Result | None) -> Values:
    """Return whether the first span has each IoU with the nearest true one, and that IoU."""
    iou = 0.0
    if isinstance(result, Moments) and result.spans:
        first = result.spans[0]
        iou = max(span_iou((first.start, first.end), span) for span in target.spans)
    hits = {f"temporal_r1@{limit}": float(iou >= limit) for limit in TEMPORAL_THRESHOLDS}
    return {**hits, "temporal_iou": iou}


def score_mask(target: MaskTarget, result: Result | None) -> Values:
    """Return J, F and their mean over the annotated frames; an unseen frame's mask is empty."""
    if not isinstance(result, MaskTrack):
        return {"mask_j&f": 0.0, "mask_j": 0.0, "mask_f": 0.0}
    import numpy as np

    from tpo_core.records.rle import decode

    truth = [decode(rle).numpy() for rle in target.frames.values()]
    masks = dict(zip(result.indices, result.masks.cpu().numpy(), strict=True))
    predicted = [
        masks.get(index, np.zeros_like(mask))
        for index, mask in zip(target.frames, truth, strict=True)
    ]
    region, boundary = j_and_f(np.stack(predicted), np.stack(truth))
    return {"mask_j&f": (region + boundary) / 2, "mask_j": region, "mask_f": boundary}


def score_targets(targets: Sequence[BaseModel], answer: Answer | None) -> Score:
    """Score the results of an answer against the targets of its branch.

    Args:
        targets: Region, temporal and mask targets, in the order of the text.
        answer: The answer; None counts as one without results.
    """
    found: dict[str, list[Result]] = {}
    for task, result in answer.results if answer else ():
        found.setdefault(task, []).append(result)
    values: dict[str, list[float]] = {}
    matched: list[Result | None] = []
    for target in targets:
        task = str(getattr(target, "task", ""))
        rest = found.get(task)
        match = rest.pop(0) if rest else None
        matched.append(match)
        for name, value in _score(target, match).items():
            values.setdefault(name, []).append(value)
    return Score(
        values={name: tuple(each) for name, each in values.items()},
        missing=sum(result is None for result in matched),
        truth=[target.model_dump(mode="json") for target in targets],
        predicted=[None if result is None else result.to_json() for result in matched],
    )


def score_chat(truth: str, answer: Answer | None) -> Score:
    """Score a short answer in words by normalised exact match, as `qa_accuracy`."""
    said = "" if answer is None else answer.text
    hit = float(exact_match(said, truth))
    return Score(
        values={"qa_accuracy": (hit,)}, missing=int(not said.strip()), truth=truth, predicted=said
    )


def _score(target: BaseModel, result: Result | None) -> Values:
    if isinstance(target, RegionTarget):
        return score_region(target, result)
    if isinstance(target, TemporalTarget):
        return score_temporal(target, result)
    assert isinstance(target, MaskTarget)
    return score_mask(target, result)
