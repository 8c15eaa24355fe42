"""A mid-size LLaVA-OneVision with random weights, and paired timing."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

WORDS = [
    "when",
    "does",
    "the",
    "red",
    "green",
    "blue",
    "circle",
    "square",
    "star",
    "appear",
    "move",
    "left",
    "right",
    "it",
    "is",
    "at",
]


def mid_size() -> Any:
    """Build the model of the measured recipe: hidden 256, 6 layers, 16 frames x 49 tokens."""
    from tests.backbones import tiny_families as families
    from tpo_backbones.generic.adapter import TransformersAdapter

    config, processor = families.FAMILIES["llava_onevision"]()
    size = {"height": 196, "width": 196}
    config["text_config"] |= {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 8000,
    }
    config["vision_config"] |= {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "image_size": 196,
        "patch_size": 14,
    }
    config["image_grid_pinpoints"] = [[196, 196]]
    processor.image_processor.size = processor.video_processor.size = size
    processor.image_processor.image_grid_pinpoints = [[196, 196]]
    processor.num_image_tokens = 196
    from transformers import AutoConfig, AutoModelForImageTextToText

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**config))
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return TransformersAdapter.load(folder)


def video(seed: int = 0) -> Any:
    """Return 16 random frames over 8 seconds."""
    from tpo_core.media.types import Media

    frames = torch.randint(
        0, 256, (16, 3, 196, 196), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    return Media(
        kind="video",
        frames=frames,
        times=torch.arange(16, dtype=torch.float64) / 2,
        indices=tuple(range(16)),
        size=(196, 196),
        duration=8.0,
        total_frames=16,
    )


def paired(
    ours: Callable[[], Any], theirs: Callable[[], Any], *, runs: int = 7
) -> tuple[list[float], list[float]]:
    """Time two functions in turn, after one warm-up of each; seconds of every run."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 1):
        for function, into in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            if number:
                into.append(time.perf_counter() - start)
    return times


def report(name: str, ours: list[float], theirs: list[float], **more: Any) -> None:
    """Print medians and the median of pairwise ratios as one JSON line."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    line = {
        "benchmark": name,
        "ours_s": round(statistics.median(ours), 4),
        "baseline_s": round(statistics.median(theirs), 4),
        "ratio": round(ratio, 3),
        "runs": len(ours),
        **more,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads",
    }
    print(json.dumps(line))
