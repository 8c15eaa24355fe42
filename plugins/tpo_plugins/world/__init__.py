"""The tiny world: short videos and pictures of coloured shapes, with questions and exact labels.

`generate_world` writes it to disk; `scene_stream` gives it in memory. Neither needs torch.
"""

from __future__ import annotations

from tpo_plugins.world.generate import (
    DEFAULT_SIZES,
    WORLD_VERSION,
    Sample,
    WorldSummary,
    draw_sample,
    generate_world,
    scene_stream,
)

__all__ = [
    "DEFAULT_SIZES",
    "WORLD_VERSION",
    "Sample",
    "WorldSummary",
    "draw_sample",
    "generate_world",
    "scene_stream",
]
