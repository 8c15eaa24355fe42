"""Anti-aliased stencils of the shapes and the patterns on them."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SUPERSAMPLING = 4
_CENTRE = 0.5


def _star() -> list[tuple[float, float]]:
    tips = []
    for corner in range(10):
        radius = 0.5 if corner % 2 == 0 else 0.22
        angle = math.pi * (corner / 5 - 0.5)
        tips.append((radius * math.cos(angle), radius * math.sin(angle)))
    low_x, high_x = min(x for x, _ in tips), max(x for x, _ in tips)
    low_y, high_y = min(y for _, y in tips), max(y for _, y in tips)
    return [((x - low_x) / (high_x - low_x), (y - low_y) / (high_y - low_y)) for x, y in tips]


# Corners in the unit square; every outline touches all four sides, so that box and square agree.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "triangle": [(0.5, 0), (1, 1), (0, 1)],
    "diamond": [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)],
    "cross": [
        (0.33, 0), (0.67, 0), (0.67, 0.33), (1, 0.33), (1, 0.67), (0.67, 0.67),
        (0.67, 1), (0.33, 1), (0.33, 0.67), (0, 0.67), (0, 0.33), (0.33, 0.33),
    ],
    "star": _star(),
}  # fmt: skip


@lru_cache(maxsize=512)
def stencil(shape: str, side: int) -> NDArray[np.float32]:
    """Coverage of each pixel of a shape's square.

    Args:
        shape: A word of SHAPES.
        side: Side of the square, pixels.

    Returns:
        float32 [side, side] in 0..1; read-only, because it is cached.
    """
    size = side * SUPERSAMPLING
    canvas = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(canvas)
    if shape == "circle":
        pen.ellipse((0, 0, size - 1, size - 1), fill=255)
    else:
        pen.polygon([(x * (size - 1), y * (size - 1)) for x, y in _OUTLINES[shape]], fill=255)
    small = canvas.resize((side, side), Image.Resampling.BOX)
    coverage: NDArray[np.float32] = np.asarray(small, dtype=np.float32) / np.float32(255)
    coverage.flags.writeable = False
    return coverage


@lru_cache(maxsize=256)
def shading(texture: str, side: int) -> NDArray[np.float32]:
    """Brightness factor of each pixel of a pattern.

    Args:
        texture: A word of TEXTURES.
        side: Side of the square, pixels.

    Returns:
        float32 [side, side]; 1 where the paint is plain, less in stripes and dots; read-only.
    """
    grid = (np.arange(side * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - side * _CENTRE
    y, x = np.meshgrid(grid, grid, indexing="ij")
    if texture == "striped":
        dark = (y + 1.25) % 5 < 2.5
    elif texture == "dotted":
        pitch = 6.0
        in_x, in_y = (x + pitch / 2) % pitch - pitch / 2, (y + pitch / 2) % pitch - pitch / 2
        dark = in_x**2 + in_y**2 < 1.8**2
    else:
        dark = np.zeros_like(x, dtype=bool)
    blocks = dark.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean(axis=(1, 3))
    factor: NDArray[np.float32] = (1 - 0.68 * blocks).astype(np.float32)
    factor.flags.writeable = False
    return factor
