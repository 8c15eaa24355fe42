"""Bring labels and predictions of every benchmark into one form, as records have it.

Benchmarks keep the fields of their official files: spans under four names, boxes of one picture or
of every frame, masks. Which they are is told from the fields' names, so that a benchmark of another
package is drawn too if it uses these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tpo_core.errors import InputError
from tpo_core.evaluation import Prediction
from tpo_core.evaluation.metrics.highlights import CLIP_SECONDS

Form = Literal["region", "temporal", "mask", "boxes", "words"]
Frames = Mapping[int | str, Any]
"""By number, or by the name of the frame's picture without suffix."""

SPAN_FIELDS: Final = (
    "pred_relevant_windows",
    "predicted_times",
    "relevant_windows",
    "spans",
    "span",
)
"""Names that lists of (start, end) in seconds have."""
_BEST_GRADE: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What of a prediction can be drawn, and against what.

    Args:
        form: What it is; `words` if nothing can be drawn.
        truth: A target as records have it, for `region` and `temporal`; None without a label.
        found: A result as `tpo_core.results` writes it, for the same; None if nothing was found.
        true_frames: Masks as RLE, or boxes as left, top, width and height in pixels, by frame;
            None where there is none.
        found_frames: The same of the prediction.
    """

    form: Form
    truth: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None
    true_frames: Frames = field(default_factory=dict)
    found_frames: Frames = field(default_factory=dict)


def evidence_of(prediction: Prediction) -> Evidence:
    """Return what of a prediction can be drawn."""
    truth, found = prediction.truth, prediction.predicted or {}
    if _is_targets(truth):
        return _of_target(truth[0], found)
    spans, true_spans = _spans(found), _spans(truth)
    if spans or true_spans:
        return _of_spans(truth, found, true_spans or [], spans)
    true = truth if isinstance(truth, Mapping) else {}
    if "box" in true:
        return Evidence(form="region", truth=_region(true), found=_region(found))
    for name, form in _FRAMES.items():
        if name in found or name in true:
            return Evidence(
                form=form,
                true_frames=_by_frame(true.get(name)) or _labelled_boxes(true),
                found_frames=_by_frame(found.get(name)),
            )
    return Evidence(form="words")


_FRAMES: Final[Mapping[str, Form]] = {"masks": "mask", "boxes": "boxes"}
_FORMS: Final[Mapping[str, Form]] = {"region": "region", "temporal": "temporal", "mask": "mask"}


def _is_targets(truth: Any) -> bool:
    return (
        isinstance(truth, Sequence)
        and bool(truth)
        and isinstance(truth[0], Mapping)
        and "task" in truth[0]
    )


def _of_target(target: Mapping[str, Any], found: Mapping[str, Any]) -> Evidence:
    """Return a record's first target with the first result of its task."""
    results = (one for one in found.get("results", ()) if one.get("task") == target["task"])
    result = next(results, None)
    form = _FORMS.get(target["task"], "words")
    if form != "mask":
        return Evidence(form=form, truth=target, found=result)
    return Evidence(
        form="mask",
        true_frames=_by_frame(target["frames"]),
        found_frames=_by_frame((result or {}).get("frames")),
    )


def _spans(value: Any) -> list[list[float]] | None:
    """Return the spans of a label or of a prediction's fields; None if there are none."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in SPAN_FIELDS if name in value), None)
    if not isinstance(value, list | tuple):
        return None
    rows = [value] if value and isinstance(value[0], int | float) else value
    if not all(_is_span(row) for row in rows):
        return None
    return [[float(time) for time in row[:2]] for row in rows]


def _is_span(row: Any) -> bool:
    return (
        isinstance(row, list | tuple)
        and len(row) in (2, 3)
        and all(isinstance(time, int | float) for time in row)
    )


def _of_spans(
    truth: Any,
    found: Mapping[str, Any],
    true_spans: Sequence[Sequence[float]],
    spans: Sequence[Sequence[float]] | None,
) -> Evidence:
    """Return moments; of the predicted ones, ranked, as many as there are true ones."""
    labels = truth if isinstance(truth, Mapping) else {}
    scores = found.get("pred_saliency_scores", ())
    result = None
    if spans:
        result = {
            "task": "temporal",
            "spans": [{"start": start, "end": end} for start, end in spans],
            "count": max(1, len(true_spans)),
            "saliency": {
                "times": [(clip + 0.5) * CLIP_SECONDS for clip in range(len(scores))],
                "scores": list(scores),
            },
        }
    target = {"task": "temporal", "spans": true_spans, "saliency": _graded(labels)}
    return Evidence(form="temporal", truth=target, found=result)


def _graded(labels: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the mean grade of each clip as saliency in [0, 1]; None without grades."""
    if not labels.get("relevant_clip_ids") or "duration" not in labels:
        return None
    clips = max(int(labels["duration"] / CLIP_SECONDS), max(labels["relevant_clip_ids"]) + 1)
    grades = dict(zip(labels["relevant_clip_ids"], labels["saliency_scores"], strict=True))
    means = [sum(grades.get(clip, (0,))) / len(grades.get(clip, (0,))) for clip in range(clips)]
    return {
        "times": [clip * CLIP_SECONDS for clip in range(clips)],
        "scores": [mean / _BEST_GRADE for mean in means],
    }


def _region(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {"task": "region", "box": fields["box"]} if "box" in fields else None


def _by_frame(values: Any) -> Frames:
    """Return values by frame; a list holds every frame's."""
    return dict(values) if isinstance(values, Mapping) else dict(enumerate(values or ()))


def _labelled_boxes(truth: Mapping[str, Any]) -> Frames:
    """Return the boxes of a file of labels that is still there."""
    from tpo_plugins.datasets.tracks import read_boxes

    try:
        return dict(enumerate(read_boxes(Path(truth["file"])).tolist())) if "file" in truth else {}
    except InputError:
        return {}
