"""A phrase for one object of a picture, as every style of RefCOCO's files says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tpo_core.errors import RecordError
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Released

Dataset = Literal["refcoco", "refcoco+", "refcocog"]

SPLITS: dict[Dataset, tuple[str, ...]] = {
    "refcoco": ("train", "val", "testA", "testB"),
    "refcoco+": ("train", "val", "testA", "testB"),
    "refcocog": ("train", "val", "test"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrase:
    """A phrase for one object of a picture.

    Args:
        picture: The picture's file name, such as `COCO_train2014_000000000009.jpg`.
        size: Of the picture.
        text: As released.
        box: xyxy in pixels, as released.
        segmentation: COCO's polygons or RLE, where the files have it.
    """

    picture: str
    size: Size
    text: str
    box: Sequence[float]
    segmentation: Any = None


class Annotation(Released):
    """The box, as COCO has it, and the outline of an object."""

    bbox: tuple[float, float, float, float]
    segmentation: Any = None


class Style(Protocol):
    """Reads one style of files."""

    def __call__(
        self, root: Path, dataset: Dataset, *, split: str | None, quirks: Quirks
    ) -> dict[str, Iterator[Group | RecordError]]:
        """Return the phrases of each picture by split, none if files of this style are not there.

        Each row's value is a `Phrase`.
        """
