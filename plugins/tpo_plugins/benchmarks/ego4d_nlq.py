"""Ego4D NLQ: when a long egocentric clip answers a question, by the first and the first five spans.

A question is known by its clip, its annotation and its number there; numbers of questions without
text stay used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_core.evaluation.metrics.moments import recall_at_k
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
from tpo_plugins.datasets.files import find_file
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.templates import phrase

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

Split = Literal["val", "test"]
FILES: Final[Mapping[str, str]] = {"val": "nlq_val.json", "test": "nlq_test_unannotated.json"}
PROMPT: Final = "{query} Show the moment that answers this."
RANKS: Final = (1, 5)
THRESHOLDS: Final = (0.3, 0.5)
NO_SPAN: Final = (0.0, 0.0)


class _Query(Released):
    query: str | None = None
    clip_start_sec: float | None = None
    clip_end_sec: float | None = None


class _Annotation(Released):
    annotation_uid: str
    language_queries: list[_Query]


class _Clip(Released):
    clip_uid: str
    video_start_sec: float
    video_end_sec: float
    annotations: list[_Annotation]


class _Video(Released):
    clips: list[dict[str, Any]]


class Ego4dNlq(MomentBenchmark):
    """R1 and R5; the IoU must be greater than the threshold.

    A file of predictions holds the `results` of the official submission, a row a question:
    `clip_uid`, `annotation_uid`, `query_idx` and `predicted_times`, seconds of the clip, best
    first.

    Args:
        split: `val`, or `test`, whose labels are not released: there is only a file to export.
        strict: Count questions without a span as misses, where the official mean leaves them out.
        num_frames: How many frames of a clip the LLM looks at.
    """

    name = "ego4d_nlq"
    metrics = ("r1@0.3", "r1@0.5", "r5@0.3", "r5@0.5", "miou")
    curves: Mapping[str, Curve] = {
        f"r{rank}": Curve(x=IOU_LEVELS, x_label="IoU threshold", y_label=f"R{rank}")
        for rank in RANKS
    }
    fields: ClassVar[Mapping[str, Kind]] = {"predicted_times": "spans"}
    id_fields = ("clip_uid", "annotation_uid", "query_idx")

    def __init__(
        self, *, split: Split = "val", strict: bool = False, num_frames: int = NUM_FRAMES
    ) -> None:
        if split not in FILES:
            raise InputError(f"split is {split!r}; expected {' or '.join(FILES)}")
        super().__init__(num_frames=num_frames)
        self.split, self.strict = split, strict
        self.protocol: Mapping[str, Any] = self._pinned(
            split=split,
            media="clips as annotated, cut from their videos",
            prompt=PROMPT,
            query="with a question mark",
            spans="all spans of the first temporal slot, best first",
            recall=f"share of questions of whose first {RANKS[0]} or {RANKS[1]} spans one has "
            f"IoU > t, t in {THRESHOLDS[0]}, {THRESHOLDS[1]}",
            miou="mean IoU of the first spans",
            missing_prediction="0" if strict else "left out of every mean",
            source="EGO4D/episodic-memory NLQ/VSLNet/utils/evaluate_ego4d_nlq.py",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield each clip of each video."""
        for row in Rows(find_file(data, FILES[self.split]), under="videos"):
            if isinstance(row, RecordError):
                yield row
                continue
            try:
                clips = row.parse(_Video).clips
            except RecordError as error:
                yield error
                continue
            for place, clip in enumerate(clips):
                yield replace(row, value=clip, key=f"{row.key}.clips[{place}]")

    def questions(self, row: Row) -> Iterable[MomentItem]:
        """Ask every question about a clip that has words."""
        clip = row.parse(_Clip)
        for annotation in clip.annotations:
            for number, query in enumerate(annotation.language_queries):
                if text := phrase(query.query or "").rstrip(" ?"):
                    key = (clip.clip_uid, annotation.annotation_uid, number)
                    yield MomentItem(
                        id="/".join(map(str, key)),
                        kind=self.split,
                        text=PROMPT.format(query=f"{text}?"),
                        tasks=TASKS,
                        truth=_window(query),
                        video=clip.clip_uid,
                        query=query.query or "",
                        key=key,
                        duration=clip.video_end_sec - clip.video_start_sec,
                    )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the spans of the head."""
        moments = first_moments(answer)
        if moments is None:
            return None
        return {"predicted_times": [[start, end] for start, end, _ in ranked(moments)]}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Compare the spans with the window; nothing is scored without labels."""
        spans = predicted["predicted_times"] if predicted else []
        missing = int(not spans)
        if item.truth is None:
            return Score(missing=missing)
        if not spans and not self.strict:
            return Score(values=dict.fromkeys(self.metrics, ()), missing=missing, truth=item.truth)
        figures, levels = (
            recall_at_k([spans], [item.truth], ks=RANKS, thresholds=each, strict=True)
            for each in (THRESHOLDS, IOU_LEVELS)
        )
        return Score(
            values={name: (figures[name],) for name in self.metrics},
            missing=missing,
            curves={
                f"r{rank}": tuple(levels[f"r{rank}@{level:g}"] for level in IOU_LEVELS)
                for rank in RANKS
            },
            truth=item.truth,
        )

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write the official submission, with the spans that count; see `Benchmark.export`.

        A question without a span is left out, as from the mean; if strict it gets an empty one.
        """
        items = self.items(data)
        ids = [item.id for item in items]
        found = predicted_by_id(predictions, ids, name=f"{self.name} ({self.split})")
        results = []
        for item in items:
            assert isinstance(item.key, tuple), "made by `questions`"
            spans = found.get(item.id, {}).get("predicted_times", [])
            if spans or self.strict:
                key = dict(zip(self.id_fields, item.key, strict=True))
                results.append({**key, "predicted_times": (spans or [NO_SPAN])[: max(RANKS)]})
        submission = {"version": "1.0", "challenge": "ego4d_nlq_challenge", "results": results}
        write_submission(output, [json.dumps(submission)])


class Ego4dNlqTest(Ego4dNlq):
    """The test split, scored by a server alone: null for every figure, an export for it.

    Args:
        strict: Export an empty span for a question without one, see `Ego4dNlq.export`.
        num_frames: How many frames of a clip the LLM looks at.
    """

    name = "ego4d_nlq_test"

    def __init__(self, *, strict: bool = False, num_frames: int = NUM_FRAMES) -> None:
        super().__init__(split="test", strict=strict, num_frames=num_frames)


def _window(query: _Query) -> list[float] | None:
    """Return the moment in seconds of the clip; None if it is not released."""
    if query.clip_start_sec is None or query.clip_end_sec is None:
        return None
    return [query.clip_start_sec, query.clip_end_sec]
