"""Score a prediction against the targets of a record's branch, task by task.

A prediction is `{"text": ..., "results": [{"task": ..., ...}, ...]}`, its results as
`tpo_core.results` writes them. Targets and results of a task are matched in the order of the text.
A target without a result scores 0, a result without a target is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpo_core.errors import InputError
from tpo_core.evaluation import Score
from tpo_core.evaluation.metrics.boxes import box_iou
from tpo_core.evaluation.metrics.chat import exact_match
from tpo_core.evaluation.metrics.masks import j_and_f
from tpo_core.evaluation.metrics.moments import span_iou
from tpo_core.records.schema import MaskTarget, RegionTarget, TemporalTarget
from tpo_core.results import Box, Result

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tpo_core.inference import Answer

REGION_THRESHOLD = 0.5
TEMPORAL_THRESHOLDS = (0.5, 0.7)
Values = dict[str, float]
Found = Mapping[str, Any]
"""A result as plain JSON values."""


def read_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer's text and results as plain JSON values; no digit is lost."""
    return {
        "text": answer.text,
        "results": [{"task": task, **_fields(result)} for task, result in answer.results],
    }


def match_results(tasks: Iterable[str], predicted: Found | None) -> list[Found | None]:
    """Return the result for each target, by the order of the text within a task.

    Args:
        tasks: The task of each target, in order.
        predicted: A prediction.

    Returns:
        A result for each target; None where there is none.
    """
    found: dict[str, list[Found]] = {}
    for result in predicted["results"] if predicted else ():
        found.setdefault(result["task"], []).append(result)
    rests = (found.get(task) for task in tasks)
    return [rest.pop(0) if rest else None for rest in rests]


def score_region(target: RegionTarget, result: Found | None) -> Values:
    """Return whether the box overlaps the true one by an IoU of 0.5 or more, and the IoU."""
    iou = 0.0
    if result is not None:
        iou = float(box_iou([result["box"]], [target.box])[0])
    return {f"region_acc@{REGION_THRESHOLD}": float(iou >= REGION_THRESHOLD), "region_iou": iou}


def score_temporal(target: TemporalTarget, result: Found | None) -> Values:
    """Return whether the first span has each IoU with the nearest true one, and that IoU."""
    iou = 0.0
    if result is not None and result["spans"]:
        first = result["spans"][0]
        iou = max(span_iou((first["start"], first["end"]), span) for span in target.spans)
    hits = {f"temporal_r1@{limit}": float(iou >= limit) for limit in TEMPORAL_THRESHOLDS}
    return {**hits, "temporal_iou": iou}


def score_mask(target: MaskTarget, result: Found | None) -> Values:
    """Return J, F and their mean over the annotated frames; an unseen frame's mask is empty.

    Raises:
        InputError: If the target holds boxes only.
    """
    if not target.frames:
        raise InputError(
            f"the target has boxes on {len(target.boxes)} frames and no mask; J and F need masks, "
            "score it by the overlap of boxes instead"
        )
    if result is None:
        return {"mask_j&f": 0.0, "mask_j": 0.0, "mask_f": 0.0}
    import numpy as np

    from tpo_core.records.rle import decode

    truth = [decode(rle).numpy() for rle in target.frames.values()]
    masks = [result["frames"].get(str(index)) for index in target.frames]
    predicted = [
        np.zeros_like(true) if mask is None else decode(mask).numpy()
        for mask, true in zip(masks, truth, strict=True)
    ]
    region, boundary = j_and_f(np.stack(predicted), np.stack(truth))
    return {"mask_j&f": (region + boundary) / 2, "mask_j": region, "mask_f": boundary}


def score_targets(targets: Sequence[BaseModel], predicted: Found | None) -> Score:
    """Score the results of a prediction against the targets of its branch.

    Args:
        targets: Region, temporal and mask targets, in the order of the text.
        predicted: The prediction; None counts as one without results.
    """
    values: dict[str, list[float]] = {}
    matched = match_results((str(getattr(one, "task", "")) for one in targets), predicted)
    for target, result in zip(targets, matched, strict=True):
        for name, value in _score(target, result).items():
            values.setdefault(name, []).append(value)
    return Score(
        values={name: tuple(each) for name, each in values.items()},
        missing=sum(result is None for result in matched),
        truth=[target.model_dump(mode="json") for target in targets],
    )


def score_chat(truth: str, predicted: Found | None) -> Score:
    """Score a short answer in words by normalised exact match, as `qa_accuracy`."""
    said = "" if predicted is None else predicted["text"]
    hit = float(exact_match(said, truth))
    return Score(values={"qa_accuracy": (hit,)}, missing=int(not said.strip()), truth=truth)


def _fields(result: Result) -> dict[str, Any]:
    # A box's own JSON is rounded for readers; an IoU at a threshold needs every digit.
    return {"box": list(result.xyxy)} if isinstance(result, Box) else result.to_json()


def _score(target: BaseModel, result: Found | None) -> Values:
    if isinstance(target, RegionTarget):
        return score_region(target, result)
    if isinstance(target, TemporalTarget):
        return score_temporal(target, result)
    assert isinstance(target, MaskTarget)
    return score_mask(target, result)
