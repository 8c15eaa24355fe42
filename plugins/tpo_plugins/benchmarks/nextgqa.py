"""NExT-GQA: a multiple-choice question about a video, and the moment that shows its answer.

Each question is put twice: for the option, and for the moment. Both answers are scored together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_core.evaluation.metrics.choices import options_prompt
from tpo_core.evaluation.metrics.grounded_qa import grounded_qa
from tpo_core.evaluation.predictions import Kind
from tpo_plugins.benchmarks.moments import (
    IOU_LEVELS,
    TASKS,
    MomentBenchmark,
    MomentItem,
    first_moments,
    ranked,
)
from tpo_plugins.benchmarks.nextgqa_rows import LETTERS, Question, question_rows
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.templates import phrase

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

Split = Literal["val", "test"]
SPLITS: Final[Sequence[Split]] = ("val", "test")
CHOICE_PROMPT: Final = "{options}\nGive the letter of the best option."
CHOICE_PREFIX: Final = "Best option: ("
MOMENT_PROMPT: Final = "{query} Show the moment that answers this."
THRESHOLDS: Final = (0.3, 0.5)
_CHOICE: Final = re.compile(rf"\(?([{LETTERS}])(?:[).:,]|\s*$)")
_OVERLAPS: Final = {"iop": "IoP", "iou": "IoU"}


class NextGqa(MomentBenchmark):
    """Acc@QA of the option, IoP and IoU of the moment, and Acc@GQA of both.

    A file of predictions holds two rows a question, with the `id` `<video>_<question>/choice` and
    `<video>_<question>/moment`. Both have `choice`, a letter from A to E, and `spans`, in seconds,
    of which the first counts; what is not asked for, or not known, is empty.

    Args:
        split: `val` or `test`.
        strict: Count a question without a span as IoU 0 and IoP 0, where the official code leaves
            it out of every figure but Acc@QA.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "nextgqa"
    metrics = (
        "acc_gqa",
        "acc_qa",
        "miop",
        "iop@0.3",
        "iop@0.5",
        "miou",
        "iou@0.3",
        "iou@0.5",
    )
    curves: Mapping[str, Curve] = {
        name: Curve(x=IOU_LEVELS, x_label=f"{label} threshold", y_label="share of questions")
        for name, label in _OVERLAPS.items()
    }
    fields: ClassVar[Mapping[str, Kind]] = {"choice": "text", "spans": "spans"}
    id_fields = ("id",)

    def __init__(
        self, *, split: Split = "test", strict: bool = False, num_frames: int = NUM_FRAMES
    ) -> None:
        if split not in SPLITS:
            raise InputError(f"split is {split!r}; expected {' or '.join(SPLITS)}")
        super().__init__(num_frames=num_frames)
        self.split, self.strict = split, strict
        self.protocol: Mapping[str, Any] = self._pinned(
            split=split,
            turns="two separate questions about one video, the option and the moment; the second "
            "shows neither the options nor the first answer",
            choice_prompt=CHOICE_PROMPT.format(options=options_prompt("{query}", ["{a0}", "..."])),
            choice_prefix=CHOICE_PREFIX,
            choice="a letter from A to E that the answer begins with, before a bracket, a full "
            "stop, a colon, a comma or its end",
            moment_prompt=MOMENT_PROMPT,
            query="with a question mark",
            span="the first span of the first temporal slot",
            overlap="IoP is the overlap divided by the length of the span; IoP and IoU are each "
            "the highest over a question's moments; a share counts values >= t, t in "
            + ", ".join(map(str, THRESHOLDS)),
            acc_gqa="right option and IoP >= 0.5",
            missing_choice=0.0,
            missing_span="0" if strict else "left out of every figure but Acc@QA",
            source="doc-doc/NExT-GQA code/TempGQA/eval_ground.py and eval_next.py",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield each question with its moments."""
        return question_rows(data, split=self.split)

    def questions(self, row: Row) -> Iterable[MomentItem]:
        """Ask for the option, then for the moment."""
        asked = row.parse(Question)
        words = phrase(asked.question).rstrip(" ?")
        if not words:
            raise row.error("the question is empty; get the file again", field="question")
        query, name = f"{words}?", f"{asked.video_id}_{asked.qid}"
        kind = "TN" if asked.type == "TP" else asked.type
        yield MomentItem(
            id=f"{name}/choice",
            kind=f"choice/{kind}",
            text=CHOICE_PROMPT.format(options=options_prompt(query, asked.options)),
            prefix=CHOICE_PREFIX,
            truth=LETTERS[asked.options.index(asked.answer)],
            video=asked.video_id,
            query=asked.question,
            key=f"{name}/choice",
            duration=asked.duration,
        )
        yield MomentItem(
            id=f"{name}/moment",
            kind=f"moment/{kind}",
            text=MOMENT_PROMPT.format(query=query),
            tasks=TASKS,
            truth=[list(moment) for moment in asked.moments],
            video=asked.video_id,
            query=asked.question,
            key=f"{name}/moment",
            duration=asked.duration,
        )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the letter, or the spans of the head."""
        if _is_choice(item):
            found = _CHOICE.match(answer.text.strip())
            return {"choice": found[1], "spans": []} if found else None
        moments = first_moments(answer)
        if moments is None:
            return None
        return {"choice": "", "spans": [span[:2] for span in ranked(moments)]}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score one of the two answers; a moment by itself has no right option."""
        return self.score_case([item], [predicted])[0]

    def score_case(
        self, items: Sequence[Item], predicted: Sequence[Mapping[str, Any] | None]
    ) -> Sequence[Score]:
        """Score each moment with what came of the option of its question.

        Raises:
            InputError: If a choice is no letter of an option.
        """
        pairs = list(zip(items, predicted, strict=True))
        right = {
            _question(item): _choice(item, fields) == item.truth
            for item, fields in pairs
            if _is_choice(item)
        }
        return [
            _score_choice(item, fields)
            if _is_choice(item)
            else self._score_moment(item, fields, right=right.get(_question(item), False))
            for item, fields in pairs
        ]

    def _score_moment(
        self, item: Item, predicted: Mapping[str, Any] | None, *, right: bool
    ) -> Score:
        spans = predicted["spans"] if predicted else []
        missing = int(not spans)
        if not spans and not self.strict:
            left_out: dict[str, tuple[float, ...]] = {
                name: () for name in self.metrics if name != "acc_qa"
            }
            return Score(values=left_out, missing=missing, truth=item.truth)
        found = grounded_qa(
            {item.id: spans[0]} if spans else {},
            {item.id: item.truth},
            {item.id: right},
            thresholds=THRESHOLDS,
            strict=True,
        )
        figures = {"acc_gqa": found.acc_gqa, "miop": found.miop, "miou": found.miou}
        figures |= {f"iop@{level}": share for level, share in found.iop.items()}
        figures |= {f"iou@{level}": share for level, share in found.iou.items()}
        return Score(
            values={name: (value,) for name, value in figures.items()},
            missing=missing,
            curves={
                name: tuple(float(figures[f"m{name}"] >= level) for level in IOU_LEVELS)
                for name in _OVERLAPS
            },
            truth=item.truth,
        )


def _is_choice(item: Item) -> bool:
    return not item.tasks


def _question(item: Item) -> str:
    """Return the id that both items of a question share."""
    return item.id.rpartition("/")[0]


def _choice(item: Item, predicted: Mapping[str, Any] | None) -> str:
    choice = str(predicted["choice"]) if predicted else ""
    if choice and choice not in tuple(LETTERS):
        raise InputError(
            f"question {_question(item)} has the choice {choice!r}; expected a letter from "
            f"{LETTERS[0]} to {LETTERS[-1]}, or an empty text for none"
        )
    return choice


def _score_choice(item: Item, predicted: Mapping[str, Any] | None) -> Score:
    choice = _choice(item, predicted)
    return Score(
        values={"acc_qa": (float(choice == item.truth),)},
        missing=int(not choice),
        truth=item.truth,
    )
