"""The tiny world's benchmark: all four kinds of questions on a split it has never trained on."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation import Benchmark, Case, Expected, Item, Score
from tpo_core.evaluation.metrics.masks import BOUNDARY_TOLERANCE
from tpo_core.records.quarantine import BadSample
from tpo_core.records.reader import ParsedRecord, RecordFile
from tpo_core.records.schema import Branch, MaskTarget, RegionPrompt
from tpo_plugins.benchmarks.kinds import kind_of
from tpo_plugins.benchmarks.scoring import (
    REGION_THRESHOLD,
    TEMPORAL_THRESHOLDS,
    read_answer,
    score_chat,
    score_targets,
)
from tpo_plugins.world import WORLD_VERSION
from tpo_plugins.world.attributes import Split

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media

METRICS: Final = (
    "qa_accuracy",
    "region_acc@0.5",
    "temporal_r1@0.5",
    "temporal_r1@0.7",
    "mask_j&f",
)
NUM_FRAMES: Final = 16
"""Frames looked at; no video of the world has more, so all are."""
DECODING: Final[Mapping[str, Any]] = {"do_sample": False, "num_beams": 1, "max_new_tokens": 32}
"""Greedy; no true answer of the world has more than half as many tokens."""


class TinyWorld(Benchmark):
    """Boxes, moments, masks and short answers about the tiny world's videos and pictures.

    `qa_accuracy` is normalised exact match (`tpo_core.evaluation.metrics.chat`), `region_acc@0.5`
    the share of boxes with an IoU of 0.5 or more, `temporal_r1@t` the share of questions whose
    first span has an IoU of t or more with a true one, `mask_j&f` the mean of J and F over the
    annotated frames of a track, then over tracks (text segmentation and box-prompted tracking).

    Args:
        split: The split to ask about.
    """

    name = "tiny_world"
    metrics = METRICS
    decoding = DECODING

    def __init__(self, *, split: Split = "test") -> None:
        self.split = split
        self.protocol: Mapping[str, Any] = {
            "world_version": WORLD_VERSION,
            "split": split,
            "num_frames": NUM_FRAMES,
            "frame_sampling": "uniform in time; all frames of a video of this world",
            "decoding": {"task_tokens": "emitted by the model, never forced", **DECODING},
            "missing_prediction": 0.0,
            "matching": "results with targets of their task in the order of the text",
            "qa_accuracy": "exact match: lower case, no punctuation or articles, numbers as digits",
            "region_acc": f"share of boxes with IoU >= {REGION_THRESHOLD}",
            "temporal_r1": "share of first spans with IoU >= t with the nearest true span, t in "
            + ", ".join(map(str, TEMPORAL_THRESHOLDS)),
            "mask_j&f": "(J + F) / 2, mean over the annotated frames of a track (first and last "
            "included), then over tracks; text segmentation and box-prompted tracking count alike "
            f"and are given apart in the details; boundary tolerance {BOUNDARY_TOLERANCE}",
        }

    def size(self, data: Path) -> int:
        """Return the number of records in the split."""
        return len(self._open(data))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield each record's media with its questions."""
        file = self._open(data)
        for index in range(len(file)):
            try:
                yield self._case(file.parse(index))
            except RecordError as error:
                yield BadSample.of(error)

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any]:
        """Return the answer's text and results."""
        return read_answer(answer)

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score one prediction; see the class."""
        if isinstance(item.truth, str):
            return score_chat(item.truth, predicted)
        return score_targets(item.truth, predicted)

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be: `id`, `text` and `results`."""
        sizes: dict[Hashable, tuple[int, int]] = {
            item.id: mask.size
            for item in items
            if not isinstance(item.truth, str)
            for target in item.truth
            if isinstance(target, MaskTarget)
            for mask in target.frames.values()
        }
        return Expected(fields={"text": "text", "results": "results"}, sizes=sizes)

    def _open(self, data: Path) -> RecordFile:
        path = data / f"{self.split}.jsonl"
        if not path.is_file():
            raise InputError(
                f"{data} holds no {path.name}; give a folder that `tpo quickstart` or "
                "tpo_plugins.world.generate_world wrote"
            )
        return RecordFile(path)

    def _case(self, parsed: ParsedRecord) -> Case:
        if parsed.media_path is None:
            raise _error(parsed, "media", "the record has no media; expected a picture or a video")
        return Case(
            media=str(parsed.media_path),
            load=partial(_load, parsed),
            items=tuple(
                _item(parsed, number, branch)
                for number, branch in enumerate(parsed.record.branches)
            ),
        )


def _load(parsed: ParsedRecord, choose: FrameChooser) -> Media:
    from tpo_core.records.dataset import load_sample

    media = load_sample(parsed, num_frames=NUM_FRAMES, choose=choose).media
    assert media is not None, "the record has media"
    return media


def _item(parsed: ParsedRecord, number: int, branch: Branch) -> Item:
    if [message.role for message in branch.messages] != ["user", "assistant"]:
        raise _error(
            parsed,
            f"branches.{number}.messages",
            "the conversation has several turns; expected one question and one answer",
        )
    question, answer = (message.content for message in branch.messages)
    targets, prompts = parsed.targets[number], parsed.prompts[number]
    if any(isinstance(target, MaskTarget) and not target.frames for target in targets):
        raise _error(
            parsed,
            f"branches.{number}.targets",
            "a track has boxes and no mask; expected a mask on one frame or more",
        )
    tasks = tuple(target["task"] for target in branch.targets)
    return Item(
        id=f"{parsed.record.id}/{number}",
        kind=kind_of(question, tasks=tasks, prompted=bool(prompts)),
        text=question,
        boxes=tuple(p for p in prompts if isinstance(p, RegionPrompt)),
        tasks=tasks,
        truth=targets or answer,
    )


def _error(parsed: ParsedRecord, field: str, reason: str) -> RecordError:
    return RecordError(reason, path=parsed.path, line=parsed.line, field=field)
