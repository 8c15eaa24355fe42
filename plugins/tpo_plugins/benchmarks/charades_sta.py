"""Charades-STA: one sentence, one moment, scored by R1 at three IoUs and by mIoU.

Times count as they are in the text file, past the end of a video too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_core.evaluation.metrics.moments import first_span_iou
from tpo_core.evaluation.metrics.span_text import parse_span
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
from tpo_plugins.datasets.files import find_file, find_optional
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.templates import phrase
from tpo_plugins.datasets.text import csv_rows, text_lines

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

Answers = Literal["head", "words"]
THRESHOLDS: Final = (0.3, 0.5, 0.7)
PROMPTS: Final[Mapping[Answers, str]] = {
    "head": "When does this happen in the video: {query}?",
    "words": "When does this happen in the video: {query}? Name the seconds at which it starts and "
    'ends, in the form "start - end".',
}
_ANSWERS: Final[Mapping[Answers, str]] = {
    "head": "the first span of the first temporal slot",
    "words": "the span that VideoChat-Flash's rules (temporal_grounding/eval_tvg.py) find in the "
    "text, in which a temporal slot is written out",
}
_LINE: Final = re.compile(r"(\S+)\s+(\S+)\s+([^\s#]+)\s*##((?:(?!##).)*)")


class CharadesSta(MomentBenchmark):
    """Moments of everyday activities, asked of a model that was not trained on them.

    A file of predictions holds `qid`, the number of the line in `charades_sta_test.txt` from 0, and
    `pred_relevant_windows`, spans in seconds of which the first counts.

    Args:
        answers: Where a span comes from: from the temporal `head`, or for models without one from
            `words`.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "charades_sta"
    metrics = ("r1@0.3", "r1@0.5", "r1@0.7", "miou")
    curves: Mapping[str, Curve] = {
        "recall": Curve(x=IOU_LEVELS, x_label="IoU threshold", y_label="R1")
    }
    fields: ClassVar[Mapping[str, Kind]] = {"pred_relevant_windows": "spans"}
    setting = "zero-shot: the model was not trained on Charades-STA"

    def __init__(self, *, answers: Answers = "head", num_frames: int = NUM_FRAMES) -> None:
        if answers not in PROMPTS:
            raise InputError(f"answers is {answers!r}; expected {' or '.join(PROMPTS)}")
        super().__init__(num_frames=num_frames)
        self.answers = answers
        self.protocol: Mapping[str, Any] = self._pinned(
            split="test",
            setting=self.setting,
            prompt=PROMPTS[answers],
            query="the sentence without its full stop",
            span=_ANSWERS[answers],
            truth="times as in the text file, not clipped to the video",
            r1="share of queries whose first span has IoU >= t, t in "
            + ", ".join(map(str, THRESHOLDS)),
            miou="mean IoU of the first spans",
            missing_prediction=0.0,
            source="OpenGVLab/TPO inference/third_party/cgdetr/standalone_eval/eval.py "
            "(compute_mr_r1)",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield each line as video, start, end, sentence and the length of the video."""
        lines = text_lines(find_file(data, "charades_sta_test.txt"))
        lengths = _lengths(data)
        for row in lines:
            if isinstance(row, RecordError):
                yield row
            elif match := _LINE.fullmatch(row.value):
                parts = dict(
                    zip(("video", "start", "end", "sentence"), match.groups(), strict=True)
                )
                yield replace(row, value={**parts, "length": lengths.get(match[1])})
            else:
                yield row.error(f"{row.value!r} is no line of the form 'VIDEO start end##sentence'")

    def questions(self, row: Row) -> Iterable[MomentItem]:
        """Ask for the moment of a line."""
        line = row.value
        query = phrase(line["sentence"])
        if not query:
            raise row.error("the sentence is empty; get the file again")
        qid = row.number - 1
        yield MomentItem(
            id=str(qid),
            kind="moment",
            text=PROMPTS[self.answers].format(query=query),
            tasks=TASKS if self.answers == "head" else (),
            truth=[_seconds(row, "start"), _seconds(row, "end")],
            video=line["video"],
            query=line["sentence"],
            key=qid,
            duration=line["length"],
        )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the spans of the head, or the one in words."""
        if self.answers == "words":
            span = parse_span(answer.text)
            return None if span is None else {"pred_relevant_windows": [list(span)]}
        moments = first_moments(answer)
        return None if moments is None else {"pred_relevant_windows": ranked(moments)}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Compare the first span with the moment."""
        spans = predicted["pred_relevant_windows"] if predicted else []
        iou = float(first_span_iou([spans], [[item.truth]])[0])
        return Score(
            values={
                **{f"r1@{level}": (float(iou >= level),) for level in THRESHOLDS},
                "miou": (iou,),
            },
            missing=int(not spans),
            curves={"recall": tuple(float(iou >= level) for level in IOU_LEVELS)},
            truth=item.truth,
        )


class CharadesStaFinetuned(CharadesSta):
    """The same questions, asked of a model that was trained on the training split."""

    name = "charades_sta_finetuned"
    setting = "fine-tuned: the model was trained on the training split of Charades-STA"


def _seconds(row: Row, field: str) -> float:
    try:
        seconds = float(row.value[field])
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise row.error(f"{row.value[field]!r} is no number of seconds", field=field)
    return seconds


def _lengths(data: Path) -> dict[str, float]:
    """Return the videos' seconds by name; they only help to find frames in place of seconds."""
    path = find_optional(data, "Charades_v1_test.csv")
    rows = csv_rows(path, columns=("id", "length")) if path else ()
    return {
        row.value["id"]: float(row.value["length"])
        for row in rows
        if isinstance(row, Row) and re.fullmatch(r"\d+(\.\d+)?", row.value["length"])
    }
