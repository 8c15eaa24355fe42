"""J&F of a SAM2 on videos of the tiny world, prompted with a box on the first frame."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tpo_core.evaluation.metrics.masks import j_and_f
from tpo_heads.mask.features import iterate_features
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.propagate import Prompt, propagate
from tpo_heads.mask.tracks import at_original_size
from tpo_plugins.world.attributes import Split
from tpo_plugins.world.render import render
from tpo_plugins.world.sampling import sample_scene

_TRACKABLE = 0.75


@torch.no_grad()
def measure_tracking(sam: Any, *, seed: int, split: Split, videos: int) -> dict[str, float]:
    """Track every object that is well visible on the first frame of some videos.

    Args:
        sam: A `SAM2Base` in evaluation mode.
        seed: Seed of the world.
        split: The split; `"test"` shows colour-shape pairs that `"train"` never does.
        videos: How many, from the split's first places on.

    Returns:
        `j`, `f` and `j&f`, means over objects of means over all frames; `j&f_first`, on the
        prompted frame alone; `presence`, the share of frames whose presence is judged rightly;
        `objects` and `videos`.
    """
    rows: list[tuple[float, ...]] = []
    for index in range(videos):
        drawn = render(sample_scene(seed=seed, split=split, index=index, media="video"))
        places = np.flatnonzero(drawn.visibility[0] >= _TRACKABLE)
        if not len(places):
            continue
        frames = torch.from_numpy(drawn.frames)
        sparse = box_embedding(sam, torch.from_numpy(drawn.boxes[0, places]))
        masks, presence = [], []
        size = (frames.shape[-2], frames.shape[-1])
        stream = iterate_features(sam, frames, batch=4)
        prompts = [Prompt(frame=0, sparse=sparse)]
        for current in propagate(sam, stream, prompts=prompts, num_frames=len(frames)):
            masks.append(at_original_size(current.logits, size).numpy())
            presence.append(current.presence.numpy() > 0.5)
        found, there = np.stack(masks, 1), np.stack(presence, 1)
        for row, place in enumerate(places):
            truth = drawn.mask(int(place))
            right = float((there[row] == truth.any((1, 2))).mean())
            first = float(np.mean(j_and_f(found[row, :1], truth[:1])))
            rows.append((*j_and_f(found[row], truth), first, right))
    j, f, first, right = (float(value) for value in np.mean(rows, axis=0))
    figures = {"j": j, "f": f, "j&f": (j + f) / 2, "j&f_first": first, "presence": right}
    return {name: round(value, 4) for name, value in figures.items()} | {
        "objects": float(len(rows)),
        "videos": float(videos),
    }
