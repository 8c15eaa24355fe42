"""Step 1: teaches the vision tower alone to see, from the dense labels of the world's frames.

Every patch feature must tell through plain linear heads whether it shows an object, the object's
colour, shape, texture and size, and where the whole object is. The same must hold for features
pooled as LLaVA-OneVision pools video frames. The heads are thrown away; what stays is a tower whose
features carry what and where linearly.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

from tpo_plugins.tiny.architecture import GRID, WIDTH
from tpo_plugins.tiny.dense import VOCABULARIES, DenseLabels, dense_labels
from tpo_plugins.tiny.schedule import cosine_schedule
from tpo_plugins.world.attributes import COLOURS, Split
from tpo_plugins.world.render import render
from tpo_plugins.world.sampling import sample_scene
from tpo_plugins.world.scene import Rendering, Scene

_LOG = logging.getLogger(__name__)
_POOLED = GRID // 2
_CLEARLY_OTHER, _BRIGHT = 55.0, 150


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSettings:
    """How the tower is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Frames a step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Of AdamW.
        box_weight: Weight of the L1 distance of boxes against the cross-entropies.
        shape_weight: Weight of the shape's cross-entropy against the others.
        coloured_shape_weight: The same where objects have colours of the world, so that a tower may
            learn which shapes a colour never has instead of looking at the form.
        grey: Share of frames shown without colour.
        painted: Share of scenes whose objects have random colours that no word of the world names.
        start: Place in the split of the first scene.
    """

    steps: int = 2500
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    box_weight: float = 6.0
    shape_weight: float = 1.0
    coloured_shape_weight: float = 1.0
    grey: float = 0.0
    painted: float = 0.0
    start: int = 0


class DenseHeads(nn.Module):
    """Linear heads that read a feature of one cell; shared by patches and pooled cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.objectness = nn.Linear(width, 1)
        self.words = nn.ModuleDict(
            {name: nn.Linear(width, len(words)) for name, words in VOCABULARIES.items()}
        )
        self.box = nn.Linear(width, 4)

    def loss(
        self, features: Tensor, labels: DenseLabels, strange: Tensor, *, settings: VisionSettings
    ) -> Tensor:
        """Sum of the terms, each a mean over its own cells.

        Args:
            features: [B, G * G, D].
            labels: Labels on the same grid.
            strange: bool [B], grey and painted frames; their colours are not asked.
            settings: Weights of the terms.

        Returns:
            A scalar.
        """
        shown = labels.objectness > 0
        seen = features[shown]
        nameless = strange[:, None].expand_as(shown)[shown]
        form, form_in_colour = settings.shape_weight, settings.coloured_shape_weight
        weights = {name: torch.ones(len(seen)) for name in self.words}
        weights["colour"] = (~nameless).float()
        weights["shape"] = torch.where(nameless, form, form_in_colour)
        logits = self.objectness(features).squeeze(-1)
        loss: Tensor = F.binary_cross_entropy_with_logits(logits, labels.objectness)
        for name, head in self.words.items():
            cost = F.cross_entropy(head(seen), labels.words[name][shown], reduction="none")
            loss = loss + (weights[name] * cost).mean()
        distance = F.l1_loss(self.box(seen), labels.boxes[shown])
        return loss + settings.box_weight * distance


def to_pixel_values(frames: Tensor) -> Tensor:
    """Normalises frames as the processor does: uint8 [B, 3, H, W] to float in -1..1."""
    return frames.float() / 127.5 - 1


def patch_features(tower: nn.Module, pixel_values: Tensor) -> Tensor:
    """The features LLaVA-OneVision takes from the tower, before its projector.

    Args:
        tower: The SigLIP vision model.
        pixel_values: [B, 3, H, W].

    Returns:
        [B, G * G, D]: the last layer's output, before the tower's final norm.
    """
    features: Tensor = tower(pixel_values, output_hidden_states=True).hidden_states[-1]
    return features


def pool(features: Tensor) -> Tensor:
    """Averages 2 x 2 cells as LLaVA-OneVision does for videos: [B, G*G, D] to [B, G*G/4, D]."""
    grid = math.isqrt(features.shape[1])
    square = features.reshape(len(features), grid // 2, 2, grid // 2, 2, -1)
    pooled: Tensor = square.mean(dim=(2, 4)).flatten(1, 2)
    return pooled


@torch.no_grad()
def place_positions(tower: nn.Module) -> None:
    """Starts the learnt positions as waves over rows and columns, so that places come for free.

    Args:
        tower: The SigLIP vision model; its position embedding is overwritten.
    """
    table: Tensor = tower.get_parameter("embeddings.position_embedding.weight")
    quarter = table.shape[1] // 4
    rates = math.pi * 8.0 ** torch.linspace(0, 1, quarter) / 2
    angles = torch.linspace(0, 1, GRID)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(-1, GRID, -1), waves[None].expand(GRID, -1, -1)
    table.copy_(0.5 * torch.cat([rows, columns], dim=2).flatten(0, 1))


def train_tower(tower: nn.Module, *, seed: int, settings: VisionSettings) -> dict[str, float]:
    """Trains the tower in place on frames of the train split.

    Args:
        tower: The SigLIP vision model.
        seed: Seed of the world; the frames come from the places after any world on disk.
        settings: How to train.

    Returns:
        Figures on frames of the val split and on held-out pairs, see `measure_tower`.
    """
    heads = DenseHeads(WIDTH)
    parameters = [*tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.98),
    )
    schedule = cosine_schedule(optimizer, steps=settings.steps)
    noise = torch.Generator().manual_seed(seed)
    batches = labelled_frames(
        seed, "train", settings.batch, start=settings.start, painted=settings.painted
    )
    start, average = time.monotonic(), 0.0
    tower.train()
    for step in range(1, settings.steps + 1):
        frames, strange, patches, cells = next(batches)
        pixels = to_pixel_values(degrade(frames, noise))
        pixels, grey = drain_colour(pixels, settings.grey, noise)
        strange = strange | grey
        features = patch_features(tower, pixels)
        loss = heads.loss(features, patches, strange, settings=settings)
        loss = loss + heads.loss(pool(features), cells, strange, settings=settings)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average += 0.02 * (loss.item() - average) if step > 1 else loss.item()
        if step % 100 == 0:
            seconds = time.monotonic() - start
            _LOG.info("tower step %d loss %.3f after %.0f s", step, average, seconds)
    return {
        f"{split}_{name}": value
        for split in ("val", "test")
        for name, value in measure_tower(tower, heads, seed=seed, split=split).items()
    }


@torch.no_grad()
def measure_tower(
    tower: nn.Module, heads: DenseHeads, *, seed: int, split: Split, batches: int = 8
) -> dict[str, float]:
    """Reads the heads on fresh frames.

    Args:
        tower: The tower.
        heads: Its heads.
        seed: Seed of the world.
        split: "val", or "test" for scenes with held-out pairs.
        batches: How many batches of 32 frames to read.

    Returns:
        For pooled cells that show an object: accuracy of each attribute and mean IoU of the box.
    """
    tower.eval()
    totals: dict[str, list[float]] = {}
    stream = labelled_frames(seed, split, 32)
    for _ in range(batches):
        frames, _, _, labels = next(stream)
        seen = pool(patch_features(tower, to_pixel_values(frames)))[labels.objectness > 0]
        for name, head in heads.words.items():
            truth = labels.words[name][labels.objectness > 0]
            hits = (head(seen).argmax(-1) == truth).float()
            totals.setdefault(name, []).append(hits.mean().item())
        truth = labels.boxes[labels.objectness > 0]
        totals.setdefault("box_iou", []).append(
            box_iou(heads.box(seen), truth).diag().mean().item()
        )
    return {name: round(float(np.mean(values)), 4) for name, values in totals.items()}


def degrade(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Makes half of the frames look like decoded video: halved chroma resolution and slight noise.

    Args:
        frames: uint8 [B, 3, H, W], H and W even.
        generator: Source of chance.

    Returns:
        uint8 [B, 3, H, W].
    """
    pixels = frames.float()
    luma = pixels.mean(dim=1, keepdim=True)
    chroma = F.interpolate(F.avg_pool2d(pixels - luma, 2), scale_factor=2.0, mode="bilinear")
    grain = torch.randn(pixels.shape, generator=generator) * 3
    chosen = torch.rand((len(frames), 1, 1, 1), generator=generator) < 0.5
    return torch.where(chosen, luma + chroma + grain, pixels).round().clamp(0, 255).to(torch.uint8)


def drain_colour(
    pixel_values: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Makes some frames grey.

    Args:
        pixel_values: [B, 3, H, W].
        share: Chance of a frame to be made grey.
        generator: Source of chance.

    Returns:
        The pixels, and bool [B], which frames are grey.
    """
    if not share:
        return pixel_values, torch.zeros(len(pixel_values), dtype=torch.bool)
    grey = torch.rand(len(pixel_values), generator=generator) < share
    colourless = pixel_values.mean(dim=1, keepdim=True)
    return torch.where(grey[:, None, None, None], colourless, pixel_values), grey


def labelled_frames(
    seed: int, split: Split, size: int, *, start: int = 0, painted: float = 0.0
) -> Iterator[tuple[Tensor, Tensor, DenseLabels, DenseLabels]]:
    """Batches of frames with labels of patches and of pooled cells.

    Args:
        seed: Seed of the world.
        split: The split.
        size: Frames of a batch.
        start: Place in the split of the first scene.
        painted: Share of scenes whose objects have random colours that no word of the world names.

    Yields:
        Frames, uint8 [B, 3, H, W]; whether each is painted, bool [B]; the labels on both grids.
    """
    frames = _frames(seed, split, start, painted)
    while True:
        drawn, strange = zip(*(next(frames) for _ in range(size)), strict=True)
        pixels = np.stack([rendering.frames[row] for _, rendering, _, row in drawn])
        patches, cells = dense_labels(drawn, grid=GRID), dense_labels(drawn, grid=_POOLED)
        yield torch.from_numpy(pixels), torch.tensor(strange), patches, cells


def _frames(
    seed: int, split: Split, start: int, painted: float
) -> Iterator[tuple[tuple[Scene, Rendering, int, int], bool]]:
    """Single pictures, a few frames of every fourth scene as a video, and if they are painted."""
    rng = np.random.default_rng(seed + start)
    index = start
    while True:
        scene = sample_scene(
            seed=seed, split=split, index=index, media="video" if index % 4 == 3 else "image"
        )
        count = min(3, scene.frames)
        times = [int(time) for time in rng.choice(scene.frames, size=count, replace=False)]
        strange = bool(painted) and bool(rng.random() < painted)
        paints = [nameless_colour(rng) for _ in scene.objects] if strange else None
        rendering = render(scene, times, paints=paints)
        for row, when in enumerate(times):
            yield (scene, rendering, when, row), strange
        index += 1


def nameless_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """A bright enough colour, clearly other than every colour of the world.

    Args:
        rng: Source of chance.

    Returns:
        Its RGB values, 0..255.
    """
    named = np.asarray(list(COLOURS.values()))
    while True:
        colour = rng.integers(0, 256, 3)
        apart = np.linalg.norm(named - colour, axis=1).min()
        if apart > _CLEARLY_OTHER and colour.max() > _BRIGHT:
            return int(colour[0]), int(colour[1]), int(colour[2])
