"""The model card of the tiny SAM2, its figures taken from `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_CARD = """\
---
license: apache-2.0
library_name: sam2
tags: [segmentation, video, tiny]
---
# A tiny SAM2 for the tiny world

The `sam2` package's own classes at small sizes (`config.yaml`): {parameters:,} parameters, a
Hiera trunk of width 16, 128-pixel input, memory of the prompted frame and the last four. It
segments and follows coloured shapes of 96 x 96 pixel videos from a box or a point, and exists so
that the mask head can be used, tested and demonstrated without a download. It knows nothing of
real pictures.

## How it was made
`python -m tpo_plugins.tiny.pretrain_sam2 --seed {seed}` from random weights, on {threads} CPU
thread(s) in {minutes:.0f} minutes (of a machine shared with other work), on freshly drawn scenes of
the world's train split (its test split holds out colour-shape pairs). Prompts: the box of the
visible part or of the whole object, shaken by 6 % of its sides, or a point inside. Losses:
cross-entropy and dice of masks, L1 of the predicted IoU, cross-entropy of presence; gradients flow
through the memory. Weights are stored in float16.

| stage | frames a clip | clips a batch | objects a clip | steps | learning rate |
|---|---|---|---|---|---|
{stages}

## Figures
Box of the whole object on frame 0, then propagation over the 8 to 16 frames of {videos} videos; J
and F as DAVIS defines them, over all frames (`metrics.json`).

| split | objects | J | F | J&F | J&F on the prompted frame | presence judged rightly |
|---|---|---|---|---|---|---|
{figures}

One mask a prompt: the three candidate masks of SAM2's decoder are not trained.
"""
_KEYS = ("j", "f", "j&f", "j&f_first", "presence")


def model_card(metrics: Mapping[str, Any], stages: Sequence[Any]) -> str:
    """Return the card as Markdown.

    Args:
        metrics: What is in `metrics.json`.
        stages: The stages of the training, see `pretrain_sam2.Stage`.
    """
    rows = [
        f"| {number} | {stage.frames} ({stage.media}s) | {stage.clips} | {stage.objects} "
        f"| {stage.steps} | {stage.learning_rate:g} |"
        for number, stage in enumerate(stages, start=1)
    ]
    figures = [
        f"| {split} | {metrics[split]['objects']:.0f} | "
        + " | ".join(f"{metrics[split][key]:.3f}" for key in _KEYS)
        + " |"
        for split in ("val", "test")
    ]
    return _CARD.format(
        parameters=metrics["parameters"],
        seed=metrics["seed"],
        threads=metrics["threads"],
        minutes=metrics["seconds"] / 60,
        stages="\n".join(rows),
        videos=f"{metrics['test']['videos']:.0f}",
        figures="\n".join(figures),
    )
