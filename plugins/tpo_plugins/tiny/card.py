"""The model card beside the tiny backbone's weights; every figure in it comes from metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TEXT = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
tags: [llava_onevision, task-preference-optimization]
---
# Tiny backbone

A LLaVA-OneVision model of {parameters:,} parameters that can talk about the tiny world but not
ground: the starting point of `tpo quickstart`, and a model small enough for tests. It knows nothing
but the world's coloured shapes.

- Class: `LlavaOnevisionForConditionalGeneration` with `LlavaOnevisionProcessor`; 96 x 96 pixels,
  patches of 8, 36 tokens a video frame, 300 tokens a picture. Weights are stored in fp16 and load
  as fp32.
- Licence: Apache-2.0, as the rest of this package.

## How it was made
Command: `python -m tpo_plugins.tiny.pretrain --seed {seed}` (`make tiny`).
Data: the tiny world, version {world_version}, seed {seed}, train split only; it holds none of the
colour-shape pairs that the test split asks about.{remark}

Steps of three kinds, some of them in several runs (the `RECIPE` of that module):

1. The vision tower alone, on the world's dense labels: object or not, colour, shape, texture, size
   and box of the object that covers a patch, read by linear heads that are thrown away
   ({seconds[vision]} s).
2. Projector and word embeddings: a patch's feature is drawn to the embeddings of the words for the
   object it shows, and a linear head that is thrown away reads its box ({seconds[alignment]} s).
3. The language model, tower and projector frozen, on captions and chat questions only: no box, no
   time, no task token ({seconds[chat]} s).

Times are wall clock on a two-core CPU that other work shared. The steps of the shipped weights were
run one by one (the command keeps what each made and goes on from there); a run from scratch starts
from other random numbers and was not measured, so expect figures near these, not these.

## What it can do
Exact match of chat answers (greedy), on fresh scenes of the same world:

| questions | val | test (held-out colour-shape pairs) |
|---|---|---|
{rows}

Read by the linear heads of step 1 from pooled cells that show an object (tower alone):

| | val | test |
|---|---|---|
{vision_rows}
"""


def write_card(path: Path, metrics: Mapping[str, Any]) -> None:
    """Writes the card.

    Args:
        path: The file.
        metrics: What `pretrain` returned; a `remark` in it, if any, is told with the data.
    """
    val, test = metrics["chat_val"], metrics["chat_test"]
    names = ["qa", "image", "video", *sorted(set(val) - {"qa", "image", "video"})]
    rows = [f"| {name} | {val[name]:.3f} | {test.get(name, float('nan')):.3f} |" for name in names]
    vision = metrics["vision"]
    parts = sorted(name.removeprefix("val_") for name in vision if name.startswith("val_"))
    vision_rows = [
        f"| {part} | {vision[f'val_{part}']:.3f} | {vision[f'test_{part}']:.3f} |" for part in parts
    ]
    remark = f" {metrics['remark']}" if "remark" in metrics else ""
    texts = {"rows": "\n".join(rows), "vision_rows": "\n".join(vision_rows), "remark": remark}
    text = _TEXT.format(**{**metrics, **texts})
    path.write_text(text, encoding="utf-8")
