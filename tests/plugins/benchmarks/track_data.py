"""Small releases of LaSOT and GOT-10k, and a model that answers by the head it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tpo_core.inference import Question
from tpo_core.model import TpoModel

SIZE = (48, 64)
"""Height and width of pictures."""

Rows = Sequence[Sequence[float]]


def boxes_text(rows: Rows, separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_pictures(folder: Path, count: int) -> None:
    """Write frames in which a bright square moves to the right, two pixels a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = np.zeros((*SIZE, 3), np.uint8)
        picture[10:26, 4 + 2 * number : 20 + 2 * number] = 230
        Image.fromarray(picture).save(folder / f"{number + 1:08d}.jpg", quality=95)


def write_lasot(
    root: Path,
    name: str,
    boxes: Rows,
    *,
    occluded: Sequence[int] | None = None,
    out: Sequence[int] | None = None,
    pictures: int | None = None,
) -> Path:
    folder = root / name.rpartition("-")[0] / name
    write(folder / "groundtruth.txt", boxes_text(boxes))
    for file, flags in (("full_occlusion", occluded), ("out_of_view", out)):
        write(folder / f"{file}.txt", ",".join(map(str, flags or [0] * len(boxes))))
    write_pictures(folder / "img", len(boxes) if pictures is None else pictures)
    return folder


def write_got(
    root: Path,
    name: str,
    boxes: Rows,
    *,
    split: str = "val",
    cover: Sequence[int] | None = None,
    size: Sequence[float] | None = (SIZE[1], SIZE[0]),
    pictures: int | None = None,
) -> Path:
    folder = root / split / name
    write(folder / "groundtruth.txt", boxes_text(boxes))
    if split == "val":
        write(folder / "cover.label", "".join(f"{it}\n" for it in cover or [8] * len(boxes)))
    if size is not None:
        resolution = f"({size[0]:g}, {size[1]:g})"
        write(folder / "meta_info.ini", f"[METAINFO]\nanno_fps: 10Hz\nresolution: {resolution}\n")
    write_pictures(folder, len(boxes) if pictures is None else pictures)
    with (root / split / "list.txt").open("a") as file:
        file.write(f"{name}\n")
    return folder


class Forced(torch.nn.Module):
    """A model made to answer every question by one head, as a trained one would by itself."""

    def __init__(self, model: TpoModel, task: str) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.origin, self.backbone = model.origin, model.backbone
        self.head_by_task = model.head_by_task
        self.asked: list[Question] = []

    def predict_batch(self, questions: Sequence[Question], **options: Any) -> Any:
        self.asked += questions
        forced = [replace(question, task=self.task) for question in questions]
        return self.model.predict_batch(forced, **options)
