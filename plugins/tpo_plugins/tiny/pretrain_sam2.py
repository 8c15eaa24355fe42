"""Makes the embedded SAM2 from nothing: single frames first, then clips with memory.

`python -m tpo_plugins.tiny.pretrain_sam2` rewrites the weights, figures and model card beside the
configuration. It sees scenes of the train split alone.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import nn

from tpo_heads.mask.sam2_source import CONFIG_FILE, WEIGHTS_FILE, build_sam2, load_sam2, read_config
from tpo_plugins.tiny.sam2_card import model_card
from tpo_plugins.tiny.sam2_clips import clip_batches
from tpo_plugins.tiny.sam2_initial import initialise, initialise_memory
from tpo_plugins.tiny.sam2_measure import measure_tracking
from tpo_plugins.tiny.sam2_objective import clip_loss, unroll
from tpo_plugins.tiny.schedule import cosine_schedule
from tpo_plugins.tiny.vision import degrade
from tpo_plugins.world.attributes import MediaType

FOLDER: Final = Path(__file__).parent / "sam2"
_TEST_VIDEOS: Final = 80
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One part of the training.

    Args:
        media: What scenes the clips come from.
        frames: Frames of a clip.
        clips: Clips of a batch.
        objects: At most so many prompted objects a clip.
        steps: Optimiser steps.
        learning_rate: Peak of AdamW's cosine schedule.
    """

    media: MediaType
    frames: int
    clips: int
    objects: int
    steps: int
    learning_rate: float


STAGES: Final = (
    Stage(media="image", frames=1, clips=8, objects=4, steps=600, learning_rate=1.5e-3),
    Stage(media="video", frames=3, clips=8, objects=3, steps=160, learning_rate=1e-3),
    Stage(media="video", frames=8, clips=6, objects=3, steps=140, learning_rate=8e-4),
)


def train_stage(sam: Any, stage: Stage, *, seed: int) -> None:
    """Train SAM2 in place.

    Args:
        sam: A `SAM2Base`.
        stage: What on.
        seed: Seed of the world and of all choices.
    """
    optimizer = torch.optim.AdamW(
        sam.parameters(), lr=stage.learning_rate, weight_decay=0.02, betas=(0.9, 0.98)
    )
    schedule = cosine_schedule(optimizer, steps=stage.steps)
    batches = clip_batches(
        seed=seed,
        media=stage.media,
        clips=stage.clips,
        frames=stage.frames,
        objects=stage.objects,
    )
    noise = torch.Generator().manual_seed(seed)
    start, losses, ious = time.monotonic(), 0.0, 0.0
    sam.train()
    for step in range(1, stage.steps + 1):
        clips = next(batches)
        clips.frames.copy_(degrade(clips.frames.flatten(0, 1), noise).view_as(clips.frames))
        loss, iou = clip_loss(unroll(sam, clips), clips.masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        pace = max(0.05, 1 / step)
        losses += pace * (loss.item() - losses)
        ious += pace * (iou - ious)
        if step % 25 == 0:
            _LOG.info(
                "%d frames, step %d of %d: loss %.3f, IoU %.3f, %.0f s",
                stage.frames,
                step,
                stage.steps,
                losses,
                ious,
                time.monotonic() - start,
            )
    sam.eval()


def pretrain(folder: Path, *, seed: int, stages: Sequence[Stage] = STAGES) -> dict[str, Any]:
    """Train from fresh weights and write weights, figures and model card.

    Args:
        folder: Holds the configuration; the files are written here.
        seed: Seed of the weights, the world and all choices.
        stages: The parts of the training.

    Returns:
        What is in `metrics.json`.
    """
    config = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    torch.manual_seed(seed)
    sam = build_sam2(read_config(config, source=str(folder)))
    initialise(sam)
    start = time.monotonic()
    remembers = False
    for stage in stages:
        if stage.frames > 1 and not remembers:
            initialise_memory(sam, seed=seed)
            remembers = True
        train_stage(sam, stage, seed=seed)
        weights = {name: value.half().contiguous() for name, value in sam.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
    seconds = time.monotonic() - start
    sam = load_sam2(str(folder))  # as rounded as users get it
    metrics = {
        "seed": seed,
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "parameters": sum(value.numel() for value in sam.parameters()),
        "bytes": (folder / WEIGHTS_FILE).stat().st_size,
        "val": measure_tracking(sam, seed=seed, split="val", videos=_TEST_VIDEOS),
        "test": measure_tracking(sam, seed=seed, split="test", videos=_TEST_VIDEOS),
    }
    text = json.dumps(metrics, indent=2) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(model_card(metrics, stages), encoding="utf-8")
    return metrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; see `--help`."""
    parser = argparse.ArgumentParser(
        description="Pretrain the tiny SAM2 on the tiny world (about 25 minutes on one core).",
        epilog="Example: python -m tpo_plugins.tiny.pretrain_sam2 --seed 0",
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="holds config.yaml; written to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    sys.stdout.write(json.dumps(pretrain(given.folder, seed=given.seed), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
