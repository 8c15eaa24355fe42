"""Dense labels of drawn frames: what object a cell of a grid shows, and where that object is."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from tpo_plugins.world.attributes import COLOURS, SHAPES, SIZES, TEXTURES
from tpo_plugins.world.scene import Rendering, Scene

VOCABULARIES: Final[dict[str, tuple[str, ...]]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "texture": TEXTURES,
    "size": tuple(SIZES),
}
_SHARE: Final = 0.09
"""A cell shows an object from this share of its pixels on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLabels:
    """Labels of B frames on a grid of G x G cells.

    Attributes:
        objectness: float [B, G * G], 1 where a cell shows an object.
        words: By attribute, int64 [B, G * G], the index in its vocabulary; -100 on the background.
        boxes: float [B, G * G, 4], xyxy in [0, 1], of the whole object; 0 on the background.
    """

    objectness: Tensor
    words: dict[str, Tensor]
    boxes: Tensor


def dense_labels(drawn: Sequence[tuple[Scene, Rendering, int, int]], *, grid: int) -> DenseLabels:
    """Labels of some frames.

    Args:
        drawn: Scenes with their drawings, the frame to label, and its row in the drawing.
        grid: Cells along one side.

    Returns:
        The labels; a cell that shows several objects is labelled with the one it shows most of.
    """
    objectness, boxes = [], []
    words: dict[str, list[np.ndarray]] = {name: [] for name in VOCABULARIES}
    for scene, rendering, time, row in drawn:
        owner, share = _owners(rendering.owner[row], len(scene.objects), grid)
        shown = share >= _SHARE
        objectness.append(shown)
        boxes.append(np.where(shown[:, None], rendering.boxes[row][owner], 0))
        for name, vocabulary in VOCABULARIES.items():
            index = [
                vocabulary.index(item.colours[time] if name == "colour" else getattr(item, name))
                for item in scene.objects
            ]
            words[name].append(np.where(shown, np.asarray(index)[owner], -100))
    return DenseLabels(
        objectness=torch.from_numpy(np.stack(objectness)).float(),
        words={name: torch.from_numpy(np.stack(values)) for name, values in words.items()},
        boxes=torch.from_numpy(np.stack(boxes)).float(),
    )


def _owners(owner: np.ndarray, count: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """The object most seen in each cell, int [G * G], and its share of the cell's pixels."""
    side = owner.shape[0] // grid
    rows = np.arange(owner.shape[0]) // side
    cells = rows[:, None] * grid + rows[None, :]
    keys = cells * (count + 1) + owner + 1
    seen = np.bincount(keys.ravel(), minlength=grid**2 * (count + 1))
    seen = seen.reshape(grid**2, count + 1)[:, 1:]
    best = seen.argmax(axis=1)
    return best, seen[np.arange(grid**2), best] / side**2
