"""RefCOCO, RefCOCO+ and RefCOCOg: the box of the object that a phrase describes, Acc@0.5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tpo_core.errors import RecordError, UnknownName
from tpo_core.evaluation.benchmark import Case, Item, Score
from tpo_core.evaluation.predictions import Expected
from tpo_core.media.open import open_media
from tpo_core.records.quarantine import BadSample
from tpo_core.tokens import REGION
from tpo_plugins.benchmarks.paper import PaperBenchmark
from tpo_plugins.datasets.files import MediaFiles, data_folder
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.refcoco import phrases
from tpo_plugins.datasets.refcoco.phrase import Dataset, Phrase
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.templates import phrase

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media

QUESTION: Final = "Where is {phrase} in the picture?"
THRESHOLD: Final = 0.5


class Refcoco(PaperBenchmark):
    """Asks for the box of each phrase of RefCOCO (arXiv 1608.00272), split by split.

    A box is right if its IoU with the released one is 0.5 or more; one score a phrase. Boxes are
    compared as fractions of the picture in float64 and a tie counts as right, as lmms-eval has it
    (InternVL and Qwen-VL count a tie as right too, Shikra and ASMv2 as wrong; MDETR thresholds
    generalised IoU). Corners are not put in order.

    A question's id is `<split>/<picture's name without suffix>/<number of the phrase>`, phrases of
    a picture counted from 0 in the order of the files.

    Attributes:
        dataset: Which of the three.
        all_splits: Those that are evaluated unless told otherwise.

    Args:
        splits: Splits to ask about, each with its own figure; all but the training split if None.

    Raises:
        UnknownName: If there is no such split.
    """

    name = "refcoco"
    metrics: tuple[str, ...] = ("val_acc@0.5", "testA_acc@0.5", "testB_acc@0.5")
    dataset: ClassVar[Dataset] = "refcoco"
    all_splits: ClassVar[tuple[str, ...]] = ("val", "testA", "testB")

    def __init__(self, *, splits: Sequence[str] | None = None) -> None:
        self.splits = tuple(splits or self.all_splits)
        for split in self.splits:
            if split not in self.all_splits:
                raise UnknownName("split", split, self.all_splits)
        self.metrics = tuple(f"{split}_acc@{THRESHOLD}" for split in self.splits)
        self.protocol: Mapping[str, Any] = self._pinned(
            dataset=self.dataset,
            splits=list(self.splits),
            question=QUESTION,
            phrase="as released, blanks made single, no full stop at its end",
            box="the first of the answer",
            acc=f"share of phrases whose box has IoU >= {THRESHOLD}; a tie is right, nothing is "
            "added to sides, boxes are fractions of the picture in float64",
            source="lmms-eval, tasks/refcoco",
            missing_prediction=0.0,
        )
        self._found: tuple[Path, list[Case | BadSample]] | None = None

    def size(self, data: Path) -> int:
        """Return the number of pictures, split by split, and of bad rows."""
        return len(self._cases(data))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield each picture of each split with its phrases."""
        yield from self._cases(data)

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the first box of the answer, xyxy normalised."""
        return {"box": list(answer.boxes[0].xyxy)} if answer.boxes else None

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score one box; see the class."""
        from tpo_core.evaluation.metrics.boxes import box_iou

        iou = 0.0 if predicted is None else float(box_iou([predicted["box"]], [item.truth])[0])
        hit = (float(iou >= THRESHOLD),)
        return Score(
            values={
                f"{item.kind}_acc@{THRESHOLD}": hit,
                f"acc@{THRESHOLD}": hit,
                "iou": (iou,),
            },
            missing=int(predicted is None),
            truth={"box": item.truth},
        )

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be: one box, xyxy normalised."""
        return Expected(fields={"box": "normalised box"})

    def _cases(self, data: Path) -> list[Case | BadSample]:
        """Read the files at the first question for this folder; nothing of pictures is held."""
        if self._found is None or self._found[0] != data:
            self._found = data, list(self._read(data_folder(data)))
        return self._found[1]

    def _read(self, root: Path) -> Iterator[Case | BadSample]:
        pictures = MediaFiles(root, "image")
        bad: dict[BadSample, None] = {}  # a reference that names no split is met in each of them
        for split in self.splits:
            for group in phrases(root, self.dataset, split=split)[split]:
                if isinstance(group, RecordError):
                    bad[BadSample.of(group)] = None
                    continue
                items: list[Item] = []
                for number, row in enumerate(group.rows):
                    try:
                        items.append(_item(row, f"{split}/{group.key}/{number}", split))
                    except RecordError as error:
                        bad[BadSample.of(error)] = None
                if items:
                    yield _case(root, pictures, group, items)
        yield from bad


class RefcocoPlus(Refcoco):
    """Asks for the box of each phrase of RefCOCO+, whose phrases say nothing of places.

    See `Refcoco`.
    """

    name = "refcoco_plus"
    dataset = "refcoco+"


class Refcocog(Refcoco):
    """Asks for the box of each phrase of RefCOCOg, whose phrases are whole sentences.

    See `Refcoco`; of several ways to split, umd is preferred.
    """

    name = "refcocog"
    metrics: tuple[str, ...] = ("val_acc@0.5", "test_acc@0.5")
    dataset = "refcocog"
    all_splits = ("val", "test")


def _item(row: Row, name: str, split: str) -> Item:
    found: Phrase = row.value
    text = phrase(found.text)
    if not text:
        raise row.error(f"the phrase is {found.text!r}; expected some text")
    height, width = found.size
    box = [value / side for value, side in zip(found.box, (width, height) * 2, strict=True)]
    if not all(map(math.isfinite, box)):
        raise row.error(f"the box is {list(found.box)}; expected four finite numbers")
    return Item(
        id=name,
        kind=split,
        text=QUESTION.format(phrase=text),
        tasks=(REGION.task,),
        truth=box,
    )


def _case(root: Path, pictures: MediaFiles, group: Group, items: Sequence[Item]) -> Case:
    name: str = group.rows[0].value.picture
    path = root / pictures.ref(name.rpartition(".")[0], default=f"train2014/{name}").path
    return Case(media=str(path), load=partial(_load, path=path), items=tuple(items))


def _load(choose: FrameChooser, *, path: Path) -> Media:
    return open_media(path, num_frames=1, kind="image", choose=choose)
