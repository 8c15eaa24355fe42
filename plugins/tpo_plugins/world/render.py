"""Draws scenes and computes their dense labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tpo_plugins.world.attributes import COLOURS, SIDE
from tpo_plugins.world.scene import Background, Rendering, Scene
from tpo_plugins.world.shapes import shading, stencil

_GRID = np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)


def render(
    scene: Scene,
    times: Sequence[int] | None = None,
    *,
    paints: Sequence[tuple[int, int, int]] | None = None,
) -> Rendering:
    """Draws a scene.

    Args:
        scene: The scene.
        times: Frames to draw, in this order; by default all.
        paints: An RGB colour for each object, 0..255, in place of its own colours.

    Returns:
        The frames with the owner of each pixel, the whole boxes and the visible fractions.
    """
    backdrop = _backdrop(scene.background)
    count = len(scene.objects)
    times = range(scene.frames) if times is None else times
    frames = np.empty((len(times), SIDE, SIDE, 3), np.float32)
    owner = np.full((len(times), SIDE, SIDE), -1, np.int8)
    boxes = np.zeros((len(times), count, 4), np.float32)
    visibility = np.zeros((len(times), count), np.float32)
    whole = [int((stencil(item.shape, item.side) > 0.5).sum()) for item in scene.objects]
    for row, time in enumerate(times):
        frame = frames[row]
        frame[:] = backdrop
        for index, item in enumerate(scene.objects):
            if not item.present[time]:
                continue
            left, top = item.corners[time]
            area = (slice(top, top + item.side), slice(left, left + item.side))
            coverage = stencil(item.shape, item.side)
            colour = COLOURS[item.colours[time]] if paints is None else paints[index]
            paint = np.asarray(colour, np.float32)
            pattern = shading(item.texture, item.side)[..., None] * paint
            frame[area] += coverage[..., None] * (pattern - frame[area])
            owner[row][area][coverage > 0.5] = index
            corners = (left, top, left + item.side, top + item.side)
            boxes[row, index] = np.asarray(corners, np.float32) / SIDE
        seen = np.bincount((owner[row] + 1).ravel(), minlength=count + 1)[1:]
        visibility[row] = seen / np.asarray(whole)
    pixels = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return Rendering(
        frames=np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)),
        owner=owner,
        boxes=boxes,
        visibility=visibility,
    )


def _backdrop(background: Background) -> NDArray[np.float32]:
    """Gradient, faint clutter and static grain, float32 [SIDE, SIDE, 3]."""
    rng = np.random.default_rng(background.seed)
    slope = np.cos(background.angle) * _GRID[None, :] + np.sin(background.angle) * _GRID[:, None]
    weight = np.clip(slope + 0.5, 0, 1)[..., None]
    start = np.asarray(background.start, np.float32)
    picture = start + weight * (np.asarray(background.end, np.float32) - start)
    for _ in range(int(rng.integers(0, 4))):
        centre_x, centre_y = rng.uniform(-0.5, 0.5, 2)
        radius = rng.uniform(0.08, 0.25)
        distance = (_GRID[None, :] - centre_x) ** 2 + (_GRID[:, None] - centre_y) ** 2
        picture = picture + (rng.uniform(-22, 22) * np.exp(-distance / radius**2))[..., None]
    grain = rng.normal(0, background.noise, (SIDE, SIDE, 1))
    return np.asarray(picture + grain, np.float32)
