"""Small datasets in their released layouts, and what their readers make of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tpo_core import registry
from tpo_core.errors import RecordError
from tpo_core.records import rle
from tpo_core.records.dataset import Sample, load_sample
from tpo_core.records.reader import RecordFile
from tpo_core.records.schema import Branch, Record

Mask = NDArray[np.bool_]
SIZE = (12, 16)
"""Height and width of pictures."""


class Found:
    """What a reader gave: records, errors, and the quirks it counted.

    Every record must be usable as training uses it: written to a JSONL file, read, its media
    decoded and its labels fitted to them.
    """

    def __init__(self, dataset: str, root: Path, *, media: bool = True, **options: Any) -> None:
        quirks: Counter[str] = Counter()
        items = list(registry.load_dataset(dataset)(root, quirks=quirks, **options))
        assert all(quirks.values()), "only quirks that were met are counted"
        self.quirks = dict(quirks)
        self.errors = [item for item in items if isinstance(item, RecordError)]
        self.records = [item for item in items if isinstance(item, Record)]
        self.by_id = {record.id: record for record in self.records}
        assert len(self.by_id) == len(self.records), "ids are unique"
        self.samples = list(_load(root, self.records)) if media else []

    @property
    def branches(self) -> list[Branch]:
        return [branch for record in self.records for branch in record.branches]


def _load(root: Path, records: Sequence[Record]) -> Iterator[Sample]:
    if not records:
        return
    path = root / "records.jsonl"
    path.write_text("".join(record.model_dump_json() + "\n" for record in records))
    file = RecordFile(path)
    for index in range(len(file)):
        sample = load_sample(file.parse(index), num_frames=100)
        assert sample.clipped == 0
        yield sample
    path.unlink()


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_text(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def write_picture(path: Path, *, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)
    return path


def write_palette(path: Path, labels: NDArray[np.uint8]) -> Path:
    """Write object numbers as DAVIS and YouTube-VOS do: a PNG of mode P with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels, mode="P")
    picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    picture.save(path)
    return path


def block(y: int, x: int, height: int = 4, width: int = 5, *, size: tuple[int, int] = SIZE) -> Mask:
    mask = np.zeros(size, np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def encode(mask: Mask) -> dict[str, Any]:
    return rle.encode(torch.from_numpy(mask))


def decode(frames: dict[str, Any]) -> dict[int, Mask]:
    return {int(index): rle.decode(mask).numpy() for index, mask in frames.items()}


def same(found: dict[int, Mask], expected: dict[int, Mask]) -> bool:
    return found.keys() == expected.keys() and all(
        np.array_equal(found[index], mask) for index, mask in expected.items()
    )


def question(branch: Branch) -> str:
    return branch.messages[0].content
