"""QVHighlights: every moment about a query, and how well each 2-second clip fits it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_core.evaluation.metrics.highlights import (
    CLIP_SECONDS,
    GRADES,
    WORKERS,
    clip_grades,
    highlight_ap,
    highlight_hits,
)
from tpo_core.evaluation.metrics.moment_map import AP_THRESHOLDS, average_precision
from tpo_core.evaluation.metrics.moments import first_span_iou
from tpo_core.evaluation.metrics.qvhighlights import LENGTHS
from tpo_core.evaluation.predictions import Kind
from tpo_plugins.benchmarks.moments import (
    IOU_LEVELS,
    TASKS,
    MomentBenchmark,
    MomentItem,
    first_moments,
    ranked,
)
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.submission import predicted_by_id, write_submission
from tpo_plugins.datasets.files import split_files
from tpo_plugins.datasets.rows import Row, Rows
from tpo_plugins.datasets.templates import phrase
from tpo_plugins.datasets.windows import WindowsRow

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media
    from tpo_core.results import Moments

Split = Literal["val", "test"]
Values = dict[str, tuple[float, ...]]
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "val": ("highlight_val_release.jsonl",),
    "test": ("highlight_test_with_gt.jsonl", "highlight_test_release.jsonl"),
}
PROMPT: Final = (
    "Find every moment about this and say how well each part of the video fits: {query}."
)
R1_THRESHOLDS: Final = (0.5, 0.7)
MAP_THRESHOLDS: Final = (0.5, 0.75)
MAIN_GRADE: Final = "VeryGood"
NO_SPAN: Final = (0.0, 0.0, 0.0)
"""Written where nothing was predicted; it fits no moment."""


class _Row(WindowsRow):
    qid: int


class QVHighlights(MomentBenchmark):
    """Moments by mAP and R1, highlights by mAP and HIT@1.

    A file of predictions holds rows of the official submission, as `export` writes them.

    Args:
        split: `val`, or `test`, whose labels are not in every release; without them there is only
            a file to export.
        strict: Count an empty list of spans as AP 0, where the official mean leaves it out, and one
            of saliency as 0, where the official code takes every clip for equal.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "qvhighlights"
    metrics = (
        "map",
        "map@0.5",
        "map@0.75",
        "map_short",
        "map_middle",
        "map_long",
        "r1@0.5",
        "r1@0.7",
        "hl_map",
        "hl_hit@1",
    )
    curves: Mapping[str, Curve] = {
        "recall": Curve(x=IOU_LEVELS, x_label="IoU threshold", y_label="R1"),
        "ap": Curve(x=AP_THRESHOLDS, x_label="IoU threshold", y_label="mAP"),
    }
    fields: ClassVar[Mapping[str, Kind]] = {
        "pred_relevant_windows": "scored spans",
        "pred_saliency_scores": "scores",
    }

    def __init__(
        self, *, split: Split = "val", strict: bool = False, num_frames: int = NUM_FRAMES
    ) -> None:
        if split not in FILES:
            raise InputError(f"split is {split!r}; expected {' or '.join(FILES)}")
        super().__init__(num_frames=num_frames)
        self.split, self.strict = split, strict
        self.protocol: Mapping[str, Any] = self._pinned(
            split=split,
            prompt=PROMPT,
            query="without a full stop",
            spans="all spans of the first temporal slot, best first",
            saliency=f"the head's scores, linearly interpolated at the middle of each "
            f"{CLIP_SECONDS} s clip and constant beyond the first and the last; as many clips as "
            f"there are whole ones in the annotated duration",
            map="per query over the first 10 spans, mean over IoU >= "
            f"{AP_THRESHOLDS[0]} to {AP_THRESHOLDS[-1]} by 0.05; by length for moments of up to "
            "10 s, 30 s and 150 s, spans not filtered",
            r1="share of queries whose first span has IoU >= t with the moment that fits best",
            highlights=f"clips graded {MAIN_GRADE} ({GRADES[MAIN_GRADE]}), mean over {WORKERS} "
            "workers; HIT@1 if it is to any of them; lower grades in the details",
            missing_prediction=0.0,
            empty_list_of_spans="AP 0" if strict else "left out of mAP; a miss in R1",
            empty_saliency="0" if strict else "every clip equal in mAP; a miss in HIT@1",
            source="jayleicn/moment_detr standalone_eval/eval.py",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the split, with labels if any release of them is there."""
        yield from Rows(split_files(data, FILES, split=self.split)[self.split])

    def questions(self, row: Row) -> Iterable[MomentItem]:
        """Ask for the moments and highlights of a query."""
        released = row.parse(_Row)
        query = phrase(released.query)
        if not query:
            raise row.error("the query is empty; get the file again", field="query")
        yield MomentItem(
            id=str(released.qid),
            kind=self.split,
            text=PROMPT.format(query=query),
            tasks=TASKS,
            truth=_truth(released, row, needed=self.split == "val"),
            video=released.vid,
            query=released.query,
            key=released.qid,
            duration=released.duration,
        )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return a row of the official submission."""
        assert isinstance(item, MomentItem), "cases holds such items only"
        moments = first_moments(answer)
        if moments is None:
            return None
        return _submitted(item, ranked(moments), _resampled(moments, item))

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score moments and highlights of one query; nothing is scored without labels."""
        missing = int(not (predicted and predicted["pred_relevant_windows"]))
        if item.truth is None:
            return Score(missing=missing)
        values, curves = self._moments(item.truth["relevant_windows"], predicted)
        values |= self._highlights(clip_grades(item.truth), predicted)
        return Score(values=values, missing=missing, curves=curves, truth=item.truth)

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write the official submission; see `Benchmark.export`.

        The evaluation accepts no empty list. A query without a span gets one that fits no moment, a
        miss as it is here; without saliency every clip gets 0, whose order the server then scores.
        """
        items = self.items(data)
        ids = [item.id for item in items]
        found = predicted_by_id(predictions, ids, name=f"{self.name} ({self.split})")
        rows = []
        for item in items:
            fields = found.get(item.id, {})
            spans = fields.get("pred_relevant_windows") or [NO_SPAN]
            scores = fields.get("pred_saliency_scores") or [0.0] * _clips(item)
            rows.append(_submitted(item, spans, scores))
        write_submission(output, map(json.dumps, rows))

    def _moments(
        self, windows: Sequence[Sequence[float]], predicted: Mapping[str, Any] | None
    ) -> tuple[Values, Values]:
        """Return figures and curves."""
        spans = predicted["pred_relevant_windows"] if predicted else []
        iou = float(first_span_iou([spans], [windows])[0])
        values: Values = {f"r1@{level}": (float(iou >= level),) for level in R1_THRESHOLDS}
        curves: Values = {"recall": tuple(float(iou >= level) for level in IOU_LEVELS)}
        values |= {name: () for name in self.metrics if name.startswith("map")}
        if predicted is not None and not spans and not self.strict:
            return values, curves
        for name, kept in _by_length(windows).items():
            if kept:
                values[name] = (float(average_precision([spans], [kept]).mean()),)
        ap = average_precision([spans], [windows])[0].tolist()
        values |= {f"map@{level}": (ap[AP_THRESHOLDS.index(level)],) for level in MAP_THRESHOLDS}
        return values, {**curves, "ap": tuple(ap)}

    def _highlights(self, grades: Any, predicted: Mapping[str, Any] | None) -> Values:
        """Return the figures of each grade; grades are `[clips, workers]`."""
        scores = predicted["pred_saliency_scores"] if predicted else []
        counts = bool(scores) or (predicted is not None and not self.strict)
        values: Values = {}
        for grade, lowest in GRADES.items():
            suffix = "" if grade == MAIN_GRADE else f"_{grade.lower()}"
            ap = float(highlight_ap([scores], [grades], lowest=lowest).mean()) if counts else 0.0
            hit = float(highlight_hits([scores], [grades], lowest=lowest)[0])
            values |= {f"hl_map{suffix}": (ap,), f"hl_hit@1{suffix}": (hit,)}
        return values


class QVHighlightsTest(QVHighlights):
    """The test split: figures where its labels are released, an export for its server.

    Args:
        strict: See `QVHighlights`.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "qvhighlights_test"

    def __init__(self, *, strict: bool = False, num_frames: int = NUM_FRAMES) -> None:
        super().__init__(split="test", strict=strict, num_frames=num_frames)


def _by_length(windows: Sequence[Sequence[float]]) -> dict[str, list[Sequence[float]]]:
    """Return the moments that each mAP counts, by its name."""
    kept = {
        f"map_{name}": [w for w in windows if shortest < w[1] - w[0] <= longest]
        for name, (shortest, longest) in LENGTHS.items()
        if name != "full"
    }
    return {"map": list(windows), **kept}


def _submitted(
    item: MomentItem, spans: Sequence[Sequence[float]], scores: Sequence[float]
) -> dict[str, Any]:
    return {
        "qid": item.key,
        "query": item.query,
        "vid": item.video,
        "pred_relevant_windows": [list(span) for span in spans],
        "pred_saliency_scores": list(scores),
    }


def _clips(item: MomentItem) -> int:
    """Return how many whole clips the video has."""
    assert item.duration is not None, "every row of the release has one"
    return int(item.duration / CLIP_SECONDS)


def _resampled(moments: Moments, item: MomentItem) -> list[float]:
    """Return the head's saliency at the middle of each whole clip; empty if it gave none."""
    import numpy as np

    if not moments.times:
        return []
    middles = (np.arange(_clips(item)) + 0.5) * CLIP_SECONDS
    scores: list[float] = np.interp(middles, moments.times, moments.saliency).tolist()
    return scores


def _truth(released: _Row, row: Row, *, needed: bool) -> dict[str, Any] | None:
    """Return the labels as plain JSON values; None if they are not released.

    Raises:
        RecordError: If they do not fit each other, or are needed and absent.
    """
    if released.relevant_windows is None:
        if needed:
            raise row.error(
                "it has no windows, which every row of val has; get the file again",
                field="relevant_windows",
            )
        return None
    clips, grades = released.relevant_clip_ids or [], released.saliency_scores or []
    count = int(released.duration / CLIP_SECONDS)
    if not released.relevant_windows or len(clips) != len(grades):
        raise row.error(
            f"there are {len(released.relevant_windows)} windows, and {len(grades)} grades of "
            f"{len(clips)} clips; expected a window and one row of grades a clip"
        )
    if not all(0 <= clip < count for clip in clips) or any(len(g) != WORKERS for g in grades):
        raise row.error(
            f"clips {clips} of {count} with grades {grades}; expected clips of the video with "
            f"{WORKERS} grades each"
        )
    return {
        "duration": released.duration,
        "relevant_windows": [list(window) for window in released.relevant_windows],
        "relevant_clip_ids": clips,
        "saliency_scores": grades,
    }
