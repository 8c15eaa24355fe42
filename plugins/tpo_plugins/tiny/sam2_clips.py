"""Clips of the tiny world with prompted objects, for training the tiny SAM2.

Shapes: B clips of T frames of H x W pixels, K prompted objects in all of them.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tpo_plugins.world.attributes import MediaType
from tpo_plugins.world.render import render
from tpo_plugins.world.sampling import sample_scene
from tpo_plugins.world.scene import Rendering

FIRST_PLACE = 2_000_000
"""Scenes come from this place of the train split on, far after any world on disk."""
_PROMPTABLE = 0.5
_JITTER = 0.06


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clips:
    """B clips and K objects prompted on their first frames.

    Args:
        frames: uint8 `[B, T, 3, H, W]`.
        clip: `[K]` long, the clip of each object.
        masks: bool `[K, T, H, W]`, the visible part of each object.
        coords: `[K, 2, 2]`, two points x, y normalised.
        labels: `[K, 2]` int32, SAM2's: 2 and 3 corners of a box, 1 a point inside, -1 no point.
    """

    frames: Tensor
    clip: Tensor
    masks: Tensor
    coords: Tensor
    labels: Tensor


def clip_batches(
    *, seed: int, media: MediaType, clips: int, frames: int, objects: int
) -> Iterator[Clips]:
    """Yield batches of fresh scenes of the train split without end; equal arguments, equal batches.

    Args:
        seed: Seed of the world and of all choices.
        media: `"image"` (with `frames=1`) or `"video"`.
        clips: B.
        frames: T; longer videos are cut, or thinned to frames further apart.
        objects: At most so many objects a clip.
    """
    rng = np.random.default_rng([seed, media == "video", frames])
    place = FIRST_PLACE
    while True:
        chosen: list[tuple[NDArray[np.uint8], list[_Prompted]]] = []
        while len(chosen) < clips:
            drawn = render(sample_scene(seed=seed, split="train", index=place, media=media))
            place += 1
            times = _choose_times(rng, total=len(drawn.frames), wanted=frames)
            prompted = _choose_objects(rng, drawn, times, most=objects)
            if prompted:
                chosen.append((drawn.frames[times], prompted))
        yield _collate(chosen)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Prompted:
    masks: NDArray[np.bool_]
    coords: NDArray[np.float64]
    labels: tuple[int, int]


def _choose_times(rng: np.random.Generator, *, total: int, wanted: int) -> NDArray[np.int64]:
    """Consecutive frames, or any in order, so that objects also jump and stay away for long."""
    wanted = min(wanted, total)
    if rng.random() < 0.5:
        start = int(rng.integers(0, total - wanted + 1))
        return np.arange(start, start + wanted)
    return np.sort(rng.choice(total, wanted, replace=False))


def _choose_objects(
    rng: np.random.Generator, drawn: Rendering, times: NDArray[np.int64], *, most: int
) -> list[_Prompted]:
    places = np.flatnonzero(drawn.visibility[times[0]] >= _PROMPTABLE)
    prompted = []
    for place in rng.permutation(places)[:most]:
        masks = drawn.mask(int(place))[times]
        coords, labels = _choose_prompt(rng, masks[0], drawn.boxes[times[0], place])
        prompted.append(_Prompted(masks=masks, coords=coords, labels=labels))
    return prompted


def _choose_prompt(
    rng: np.random.Generator, mask: NDArray[np.bool_], whole_box: NDArray[np.float32]
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The box of the visible part or of the whole object, shaken, or a point inside."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if rng.random() < 0.25:
        at = int(rng.integers(len(rows)))
        point = [(columns[at] + 0.5) / width, (rows[at] + 0.5) / height]
        return np.asarray([point, [0.0, 0.0]]), (1, -1)
    box = np.asarray(whole_box, np.float64)
    if rng.random() < 0.5:
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        box = np.asarray(edges) / (width, height, width, height)
    sides = np.tile(box[2:] - box[:2], 2)
    box = np.clip(box + rng.normal(0, _JITTER, 4) * sides * (rng.random() < 0.7), 0, 1)
    return box.reshape(2, 2), (2, 3)


def _collate(chosen: list[tuple[NDArray[np.uint8], list[_Prompted]]]) -> Clips:
    objects = [item for _, prompted in chosen for item in prompted]
    owners = [row for row, (_, prompted) in enumerate(chosen) for _ in prompted]
    return Clips(
        frames=torch.from_numpy(np.stack([frames for frames, _ in chosen])),
        clip=torch.tensor(owners),
        masks=torch.from_numpy(np.stack([item.masks for item in objects])),
        coords=torch.from_numpy(np.stack([item.coords for item in objects])).float(),
        labels=torch.tensor([item.labels for item in objects], dtype=torch.int32),
    )
