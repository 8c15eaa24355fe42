"""GOT-10k: validation as the toolkit scores it, and the test split for its server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.submission import predicted_by_id, write_zip
from tpo_plugins.benchmarks.tracking import (
    TrackedVideo,
    TrackingBenchmark,
    TrackItem,
)
from tpo_plugins.datasets import got10k
from tpo_plugins.datasets.files import data_folder, find_file
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.sizes import media_size
from tpo_plugins.datasets.text import text_lines
from tpo_plugins.datasets.tracks import read_boxes, read_flags

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

METRICS: Final = ("ao", "sr@0.5", "sr@0.75")
_RESOLUTION = re.compile(r"^resolution:\s*\((\d+),\s*(\d+)\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Got10kTruth:
    """The labels of a sequence.

    Args:
        boxes: float64 `[T, 4]`, the right boxes.
        cover: int64 `[T]`, how much of the object is seen, from 0 (nothing) to 8.
        size: (width, height) of the pictures in pixels.
    """

    boxes: NDArray[np.float64]
    cover: NDArray[np.int64]
    size: tuple[int, int]


class Got10k(TrackingBenchmark):
    """Follows one object through each of 180 short videos (arXiv 1810.11981).

    Figures are those of the toolkit's validation (`tpo_core.evaluation.metrics.got10k`): over the
    frames of all sequences together. Labels of the test split are not public: its predictions are
    exported for the server.

    Args:
        num_frames: How many frames the LLM looks at.
        split: `val` or `test`.

    Raises:
        UnknownName: If it is another.
    """

    name = "got10k"
    metrics = METRICS
    curves: Mapping[str, Curve] = {
        "success": Curve(
            x=tuple(np.linspace(0, 1, 101).tolist()),
            x_label="IoU",
            y_label="share of frames above it",
            above="ao",
        )
    }

    def __init__(
        self, *, num_frames: int = NUM_FRAMES, split: Literal["val", "test"] = "val"
    ) -> None:
        if split not in ("val", "test"):
            raise UnknownName("split", split, ("val", "test"))
        super().__init__(num_frames=num_frames)
        self.split = split
        self.protocol: Mapping[str, Any] = self._pinned(
            split=split,
            source="got-10k/toolkit, ExperimentGOT10k",
            origin="pixels count from 0",
            fps=got10k.FPS,
            no_box="the previous frame's box, written into the prediction",
            counted="frames after the first in which something of the object is seen (cover > 0)",
            clipping="both boxes to the picture: the corner is moved in, then the sides are cut",
            missing_prediction="IoU 0 on every frame of the sequence",
            ao="mean IoU over the frames of all sequences together",
            sr="share of these frames with IoU > t",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the sequences that the split's `list.txt` names."""
        file = find_file(data_folder(data), f"{self.split}/list.txt")
        for row in text_lines(file):
            if isinstance(row, RecordError):
                yield row
            else:
                folder = file.parent / row.value.strip()
                yield Row(value=folder, path=file, number=row.number)

    def video(self, folder: Path) -> TrackedVideo:
        """Read a sequence's labels; of a test sequence the first box alone."""
        labels = folder / "groundtruth.txt"
        boxes = read_boxes(labels)
        return TrackedVideo(
            name=folder.name,
            kind=self.split,
            labels=labels,
            pictures=folder,
            fps=got10k.FPS,
            frames=len(boxes) if self.split == "val" else None,
            first=boxes[0].tolist(),
            truth=_truth(folder, boxes) if self.split == "val" else None,
        )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the boxes around the object's masks; where there is none, the previous one."""
        found = super().read(item, answer, media)
        if found is None:
            return None
        boxes: list[Sequence[float]] = []
        for box in found["boxes"]:
            boxes.append(box if min(box[2:]) > 0 or not boxes else boxes[-1])
        return {"boxes": boxes}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score one sequence's boxes; see the class.

        Raises:
            InputError: If there are not as many boxes as frames.
        """
        from tpo_core.evaluation.metrics.got10k import Got10kSequence, sequence_iou

        assert isinstance(item, TrackItem)
        missing = int(predicted is None)
        truth: Got10kTruth | None = item.truth
        if truth is None:
            return Score(missing=missing)
        seen = truth.cover[1:] > 0
        iou = np.zeros(int(seen.sum()))
        if predicted is not None:
            sequence = Got10kSequence(
                name=item.id,
                truth=truth.boxes,
                predictions=[predicted["boxes"]],
                cover=truth.cover.tolist(),
                size=truth.size,
            )
            iou = sequence_iou(sequence)[0][seen]
        return Score(
            values={
                "ao": tuple(iou.tolist()),
                "sr@0.5": tuple((iou > 0.5).astype(float).tolist()),
                "sr@0.75": tuple((iou > 0.75).astype(float).tolist()),
            },
            missing=missing,
            truth={"file": str(item.video.labels), "frames": len(truth.boxes)},
        )

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write a zip with `<sequence>/<sequence>_001.txt` and `<sequence>/<sequence>_time.txt`.

        Boxes have three decimals, as the toolkit writes them. Times are not measured: they are 0,
        which the toolkit takes for unknown.

        Raises:
            InputError: If a sequence of the split lacks a prediction, a prediction is for no
                sequence of it, or the file cannot be written.
        """
        names = [row.value.name for row in self.rows(data) if isinstance(row, Row)]
        by_id = predicted_by_id(predictions, names, name=f"{self.name} ({self.split})")
        lacking = [name for name in names if name not in by_id]
        if lacking:
            raise InputError(
                f"{len(lacking)} of {len(names)} sequences of {self.split} have no prediction, "
                f"such as {lacking[0]}; the server takes all of them, evaluate the whole split"
            )
        write_zip(output, _submission({name: by_id[name]["boxes"] for name in names}))


class Got10kTest(Got10k):
    """The test split of GOT-10k: null for every figure, an export for its server; see `Got10k`.

    Args:
        num_frames: How many frames the LLM looks at.
    """

    name = "got10k_test"

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        super().__init__(num_frames=num_frames, split="test")


def _truth(folder: Path, boxes: NDArray[np.float64]) -> Got10kTruth:
    cover = read_flags(folder / "cover.label")
    if len(cover) != len(boxes):
        raise InputError(
            f"{folder} has {len(boxes)} boxes but {len(cover)} labels of cover; expected one each "
            "a frame"
        )
    return Got10kTruth(boxes=boxes, cover=cover, size=_size(folder))


def _size(folder: Path) -> tuple[int, int]:
    """Return (width, height) as `meta_info.ini` gives it; of the first picture if it does not."""
    file = folder / "meta_info.ini"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    if match := _RESOLUTION.search(text):
        return int(match[1]), int(match[2])
    height, width = media_size(folder, "video")
    return width, height


def _submission(boxes: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    for name, rows in boxes.items():
        lines = (",".join(f"{value:.3f}" for value in row) for row in rows)
        yield f"{name}/{name}_001.txt", "".join(f"{line}\n" for line in lines)
        yield f"{name}/{name}_time.txt", f"{0:.8f}\n" * len(rows)
