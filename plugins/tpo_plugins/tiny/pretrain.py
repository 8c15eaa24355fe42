"""Makes the tiny backbone's weights: ``python -m tpo_plugins.tiny.pretrain [--output FOLDER]``."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    PreTrainedTokenizerFast,
)

from tpo_plugins.tiny import BACKBONE
from tpo_plugins.tiny.alignment import AlignmentSettings, align_words
from tpo_plugins.tiny.architecture import build_model, build_processor
from tpo_plugins.tiny.card import write_card
from tpo_plugins.tiny.chat import ChatSettings, measure_chat, train_chat
from tpo_plugins.tiny.tokenizer import train_tokenizer
from tpo_plugins.tiny.vision import VisionSettings, place_positions, train_tower
from tpo_plugins.world import WORLD_VERSION, scene_stream

SEED = 1000
"""Seed of the world the weights are made from; other than 0, the default of worlds on disk."""
_VOCABULARY = 768
_SENTENCES_FROM = 400


Step = VisionSettings | AlignmentSettings | ChatSettings

_LATE_CHAT: Final = ChatSettings(
    steps=3300,
    rows={"glimpse": 8, "image": 5, "video": 4},
    mixture={"glimpse": 0.1, "image": 0.45, "video": 0.45},
    questions=14,
    learning_rate=8e-4,
    caption_weight=0.3,
    painted=0.3,
    start=3_500_000,
)

RECIPE: Final[tuple[Step, ...]] = (
    VisionSettings(steps=2500),
    VisionSettings(
        steps=1600,
        batch=20,
        learning_rate=8e-4,
        shape_weight=2.0,
        coloured_shape_weight=2.0,
        grey=0.25,
        start=100_000,
    ),
    # The tower has learnt by now which shapes a colour never has. From here on shapes are learnt
    # where colours tell nothing, so that it looks at the form and sees held-out pairs too.
    VisionSettings(
        steps=1000,
        batch=24,
        learning_rate=8e-4,
        shape_weight=3.0,
        coloured_shape_weight=0.0,
        painted=0.6,
        start=500_000,
    ),
    # Boxes weigh five times as much from here on: the tower knows what it sees, but not exactly
    # where.
    VisionSettings(
        steps=1500,
        batch=24,
        learning_rate=8e-4,
        box_weight=30.0,
        shape_weight=3.0,
        coloured_shape_weight=0.0,
        painted=0.5,
        start=1_000_000,
    ),
    AlignmentSettings(steps=900, edge_weight=1.0, start=600_000),
    # Scenes of few objects as one-frame videos of 37 tokens: cheap, and soon understood.
    ChatSettings(
        steps=500,
        rows={"glimpse": 12},
        mixture={"glimpse": 1.0},
        crowd=(2, 3),
        painted=0.3,
        start=300_000,
    ),
    ChatSettings(
        steps=1000,
        rows={"glimpse": 12, "image": 8, "video": 6},
        mixture={"glimpse": 0.3, "image": 0.4, "video": 0.3},
        painted=0.25,
        start=400_000,
    ),
    ChatSettings(
        steps=1500,
        rows={"glimpse": 12, "image": 8, "video": 6},
        mixture={"glimpse": 0.2, "image": 0.5, "video": 0.3},
        questions=12,
        learning_rate=1e-3,
        painted=0.25,
        start=1_500_000,
    ),
    ChatSettings(
        steps=1500,
        rows={"glimpse": 12, "image": 8, "video": 6},
        mixture={"glimpse": 0.1, "image": 0.45, "video": 0.45},
        questions=12,
        learning_rate=1e-3,
        painted=0.25,
        start=2_500_000,
    ),
    _LATE_CHAT,
    replace(
        _LATE_CHAT,
        steps=1900,
        mixture={"glimpse": 0.06, "image": 0.44, "video": 0.5},
        learning_rate=6e-4,
        start=4_500_000,
    ),
    replace(
        _LATE_CHAT,
        steps=2400,
        mixture={"glimpse": 0.04, "image": 0.4, "video": 0.56},
        learning_rate=6e-4,
        start=5_500_000,
    ),
)
"""The steps the shipped weights were made with, in order."""


def pretrain(
    output: Path,
    *,
    work: Path,
    seed: int = SEED,
    recipe: Sequence[Step] = RECIPE,
    scenes: int = 96,
) -> dict[str, Any]:
    """Runs all steps, measures, and writes the backbone.

    Args:
        output: Folder to write; replaced whole at the end if it exists.
        work: Folder that keeps what each step made; a later run of the same seed goes on there.
        seed: Seed of weights, world and order.
        recipe: The steps' settings in order, each of the three kinds at least once.
        scenes: How many pictures and how many videos of a split to measure on.

    Returns:
        The figures that `metrics.json` holds.
    """
    tokenizer = train_tokenizer(world_sentences(seed), vocab_size=_VOCABULARY)
    model = build_model(tokenizer, seed=seed)
    place_positions(model.model.vision_tower)
    figures: dict[str, dict[str, float]] = {}
    seconds: Counter[str] = Counter()
    for number, settings in enumerate(recipe, start=1):
        kind, train = _step(model, tokenizer, settings, seed=seed)
        figures[kind] = _kept(model, work / f"{seed}-{number}", train)
        seconds[kind] += round(figures[kind].pop("seconds"))
    # Measured with the weights as they are stored.
    model.half().float()
    measure = partial(measure_chat, model, tokenizer, seed=seed, scenes=scenes)
    metrics = {
        "seed": seed,
        "world_version": WORLD_VERSION,
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "seconds": dict(seconds),
        "vision": figures["vision"],
        "chat_val": measure(split="val"),
        "chat_test": measure(split="test"),
    }
    save_backbone(output, model, build_processor(tokenizer), metrics)
    return metrics


def _step(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    settings: Step,
    *,
    seed: int,
) -> tuple[str, Callable[[], dict[str, float]]]:
    """The kind of a step and the function that runs it."""
    if isinstance(settings, VisionSettings):
        tower = model.model.vision_tower
        return "vision", partial(train_tower, tower, seed=seed, settings=settings)
    if isinstance(settings, AlignmentSettings):
        return "alignment", partial(align_words, model, tokenizer, seed=seed, settings=settings)
    return "chat", partial(train_chat, model, tokenizer, seed=seed, settings=settings)


def _kept(model: nn.Module, stem: Path, train: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Runs a step, or takes its kept result; returns its figures and the seconds it took."""
    weights, figures = stem.with_suffix(".safetensors"), stem.with_suffix(".json")
    if figures.exists():
        load_model(model, weights)
        kept: dict[str, float] = json.loads(figures.read_text(encoding="utf-8"))
        return kept
    start = time.monotonic()
    measured = train()
    measured["seconds"] = round(time.monotonic() - start)
    stem.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, str(weights))
    figures.write_text(json.dumps(measured), encoding="utf-8")
    return measured


def world_sentences(seed: int) -> list[str]:
    """Questions, answers and captions of the train split, for the tokenizer to learn words from.

    Args:
        seed: Seed of the world.

    Returns:
        The sentences in a fixed order, without the markers of slots.
    """
    sentences = []
    for sample in scene_stream(seed, "train", stop=_SENTENCES_FROM, chat=8):
        for branch in (*sample.branches, sample.caption):
            sentences.append(branch.question)
            if not branch.targets:
                sentences.append(branch.answer)
    return sentences


def save_backbone(
    output: Path,
    model: LlavaOnevisionForConditionalGeneration,
    processor: LlavaOnevisionProcessor,
    metrics: dict[str, Any],
) -> None:
    """Writes weights (stored in fp16, declared fp32), processor, metrics and model card.

    Args:
        output: Folder to write; replaced whole.
        model: The model.
        processor: Its processor.
        metrics: The figures for `metrics.json` and the card.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as name:
        draft = Path(name) / "backbone"
        model.half().save_pretrained(draft)
        model.float()
        _declare_fp32(draft / "config.json")
        processor.save_pretrained(draft)
        (draft / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        write_card(draft / "README.md", metrics)
        # safetensors writes files that only their owner may read; these are to be shared.
        (draft / "model.safetensors").chmod(0o644)
        if output.exists():
            shutil.rmtree(output)
        os.replace(draft, output)


def _declare_fp32(path: Path) -> None:
    """Makes `from_pretrained` give fp32: fp16 only halves the file, CPUs compute in fp32."""
    config = json.loads(path.read_text(encoding="utf-8"))
    for part in (config, config["text_config"], config["vision_config"]):
        if "dtype" in part:
            part["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Reads the command line and runs `pretrain`."""
    parser = argparse.ArgumentParser(
        prog="python -m tpo_plugins.tiny.pretrain", description=__doc__
    )
    parser.add_argument("--output", type=Path, default=BACKBONE, help="folder to write")
    parser.add_argument("--work", type=Path, default=Path("runs/tiny"), help="keeps each step")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=None, help="default: torch's choice")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    metrics = pretrain(arguments.output, work=arguments.work, seed=arguments.seed)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
