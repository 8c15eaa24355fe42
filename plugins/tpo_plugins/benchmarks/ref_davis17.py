"""Ref-DAVIS17: DAVIS 2017's unsupervised protocol for each of four sets of expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.benchmark import Item, Score
from tpo_core.evaluation.metrics.davis import (
    VOID,
    DavisSequence,
    Labels,
    davis_scores,
)
from tpo_plugins.benchmarks.frame_masks import pixels_of
from tpo_plugins.benchmarks.mask_tree import as_png
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.referring import (
    METRICS,
    ReferringBenchmark,
    ReferringItem,
    by_number,
    frames_with_masks,
    picture_size,
)
from tpo_plugins.datasets import ref_davis17
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.expressions import Expression
from tpo_plugins.datasets.files import data_folder, find_file
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.masks import encode, read_labels

ANNOTATORS: Final = (
    "annotator 1, first frame",
    "annotator 1, full video",
    "annotator 2, first frame",
    "annotator 2, full video",
)
"""Whose expressions, and having seen what, in the order of `ref_davis17.TEXTS`."""

Fields = Mapping[str, Any] | None


class RefDavis17(ReferringBenchmark):
    """Segments the objects of DAVIS 2017 val by their expressions (arXiv 1803.08006).

    The masks for one annotator's expressions of a video are merged into one label map a frame and
    scored as DAVIS scores proposals (`tpo_core.evaluation.metrics.davis`); a figure is the mean
    over the objects of all videos, then over annotators. `export` writes the label maps that the
    official evaluation reads, `anno_<k>/<video>/<frame>.png`.

    Args:
        num_frames: How many frames the LLM looks at.
        strict: Score an expression without a mask on any frame 0; by the official rule its empty
            proposal scores 1 on each frame in which the object it is assigned to is not visible.
    """

    name = "ref_davis17"
    macro = frozenset(METRICS)
    fps = ref_davis17.FPS

    def __init__(self, *, num_frames: int = NUM_FRAMES, strict: bool = False) -> None:
        super().__init__(num_frames=num_frames)
        self.strict = strict
        self.protocol: Mapping[str, Any] = self._pinned(
            split="val of DAVIS 2017, 480p, unsupervised annotations",
            merging="one label map a frame and annotator; a pixel in several masks belongs to the "
            "object with the lowest number",
            assignment="proposals to objects so that the mean of J and F is highest (Hungarian)",
            objects="labels of the first frame",
            frames_counted="all, first and last included; void pixels are ignored",
            averaging="frames, objects of all videos, annotators",
            jf="(J + F) / 2",
            missing_prediction="0" if strict else "an empty proposal, as official",
            source="davisvideochallenge/davis2017-evaluation (unsupervised), for each annotator as "
            "in wjn922/ReferFormer inference_davis.py and eval_davis.py",
        )

    def videos(self, data: Path) -> Iterator[list[ReferringItem] | RecordError]:
        """Yield the expressions of all annotators for each video."""
        davis = find_file(data_folder(data), "ImageSets/2017/val.txt").parents[2]
        for group in ref_davis17.expressions(data, split="val"):
            if isinstance(group, RecordError):
                yield group
                continue
            masks = davis / "Annotations_unsupervised" / "480p" / group.key
            try:
                with at_row(group.rows[0]):
                    _check_objects(group, masks)
            except RecordError as error:
                yield error
                continue
            pictures = davis / "JPEGImages" / "480p" / group.key
            yield from self._items(group, pictures=pictures, truth=lambda *_, masks=masks: masks)

    def kind(self, expression: Expression) -> str:
        """Return whose the expression is."""
        return ANNOTATORS[int(expression.key) % len(ANNOTATORS)]

    def score(self, item: Item, predicted: Fields) -> Score:
        """Score one expression as if it were its annotator's only one."""
        return self.score_case([item], [predicted])[0]

    def score_case(self, items: Sequence[Item], predicted: Sequence[Fields]) -> list[Score]:
        """Score the expressions for a video, those of each annotator together.

        A score is that of the proposal an expression makes, with the object it is assigned to.

        Raises:
            InputError: If masks are not one for each frame, of the size of the right ones, or a
                right one cannot be read.
        """
        asked = [item for item in items if isinstance(item, ReferringItem)]
        truth = _read(asked[0])
        by_id = dict(zip((item.id for item in asked), predicted, strict=True))
        scores: dict[str, Score] = {}
        for annotator in dict.fromkeys(item.kind for item in asked):
            theirs = [item for item in asked if item.kind == annotator]
            scores |= self._score_annotator(theirs, by_id, truth)
        return [scores[item.id] for item in items]

    def submitted(
        self, items: Sequence[ReferringItem], predicted: Mapping[str, Fields]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield `anno_<k>/<video>/<frame>.png`, a label map each, for k from 0 to 3."""
        for number, annotator in enumerate(ANNOTATORS):
            theirs = [item for item in items if item.kind == annotator]
            first = theirs[0].expression
            shape = (len(first.frames), *picture_size(theirs[0]))
            for frame, labels in zip(first.frames, _merged(theirs, predicted, shape), strict=True):
                name = f"anno_{number}/{first.video}/{frame}.png"
                yield name, as_png(labels, palette=True)

    def read_folder(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Read `anno_<k>/<video>/<frame>.png`: label n is the mask for object n's expression.

        Raises:
            InputError: If there is no such picture, or one cannot be read.
        """
        videos = sorted({file.parent for file in folder.glob("anno_[0-3]/*/*.png")})
        if not videos:
            raise InputError(f"{folder} holds no masks; expected anno_<0 to 3>/<video>/<frame>.png")
        for video in videos:
            maps = {file.stem: read_labels(file) for file in sorted(video.glob("*.png"))}
            annotator = int(video.parent.name.removeprefix("anno_"))
            for number in range(1, max(int(labels.max()) for labels in maps.values()) + 1):
                key = len(ANNOTATORS) * (number - 1) + annotator
                masks = {frame: encode(labels == number) for frame, labels in maps.items()}
                yield {"id": f"{video.name}/{key}", "masks": masks}

    def _score_annotator(
        self, items: Sequence[ReferringItem], predicted: Mapping[str, Fields], truth: Labels
    ) -> dict[str, Score]:
        said = _merged(items, predicted, truth.shape)
        sequence = DavisSequence(name=items[0].expression.video, truth=truth, predicted=said)
        _, each = davis_scores([sequence], task="unsupervised")
        # There is a proposal for each object, so figure k is that of proposal k.
        figures = list(each.values())
        scores = {}
        for item in items:
            found = figures[_number(item) - 1]
            values = {
                "j&f": found.jf,
                "j": found.j,
                "f": found.f,
                "j_recall": found.j_recall,
                "f_recall": found.f_recall,
            }
            if self.strict and not _is_seen(item, predicted[item.id]):
                values = dict.fromkeys(values, 0.0)
            scores[item.id] = Score(
                values={name: (value,) for name, value in values.items()},
                missing=int(predicted[item.id] is None),
                truth={"masks": by_number(encode(frame == _number(item)) for frame in truth)},
            )
        return scores


def _number(item: ReferringItem) -> int:
    """Return the number of the object that an expression means."""
    return item.expression.objects[0]


def _check_objects(group: Group, masks: Path) -> None:
    """Check that each annotator has an expression for each object of the first frame.

    Raises:
        InputError: If this is not so, or the first frame's masks cannot be read.
    """
    expressions: list[Expression] = [row.value for row in group.rows]
    first = read_labels(masks / f"{expressions[0].frames[0]}.png")
    count = int(np.where(first == VOID, 0, first).max())
    there = {(one.objects[0], int(one.key) % len(ANNOTATORS)) for one in expressions}
    wanted = {(number, who) for number in range(1, count + 1) for who in range(len(ANNOTATORS))}
    if there != wanted:
        number, who = min(there ^ wanted)
        raise InputError(
            f"the first mask of {masks} shows {count} objects, and object {number} is not both "
            f"there and in {ref_davis17.TEXTS[who]}; expected an expression of each annotator for "
            "each object"
        )


def _read(item: ReferringItem) -> Labels:
    """Read the label map of each frame, uint8 `[T, H, W]`."""
    maps = [read_labels(item.truth / f"{frame}.png") for frame in item.expression.frames]
    if len({labels.shape for labels in maps}) > 1:
        raise InputError(f"the masks in {item.truth} differ in size; get the annotations again")
    return np.stack(maps)


def _merged(
    items: Sequence[ReferringItem], predicted: Mapping[str, Fields], shape: Sequence[int]
) -> Labels:
    """Merge the masks of one annotator's expressions into label maps, uint8 `[T, H, W]`."""
    labels = np.zeros(shape, np.uint8)
    size = (shape[1], shape[2])
    for item in sorted(items, key=_number, reverse=True):  # later ones are drawn over
        for place, (frame, mask) in enumerate(frames_with_masks(item, predicted[item.id])):
            labels[place][pixels_of(mask, size, where=f"{item.id}, frame {frame}")] = _number(item)
    return labels


def _is_seen(item: ReferringItem, predicted: Fields) -> bool:
    """Tell whether a prediction has a mask that is not empty."""
    from tpo_core.records.rle import box_around

    return any(mask and box_around(mask) for _, mask in frames_with_masks(item, predicted))
