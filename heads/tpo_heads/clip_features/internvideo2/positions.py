"""The joint space-time position table of InternVideo2: its initial values and its resizing.

Shapes: C width, t time steps, g side of the square grid, rows 1 + t g^2: the class token's, then
time outermost, then rows and columns of the grid.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_core.errors import InputError

_BASE = 10000.0


def sine_table(width: int, *, steps: int, side: int) -> Tensor:
    """Return the initial table `[1, 1 + t g^2, C]`, zero for the class token.

    The first C/4 channels encode time, the next 3C/8 the column and the last 3C/8 the row, each
    as a half of sines and a half of cosines (MAE's layout, He et al., CVPR 2022).

    Args:
        width: C, a multiple of 16.
        steps: t.
        side: g.
    """
    time = _sines(steps, width // 4)[:, None, None].expand(-1, side, side, -1)
    place = _sines(side, 3 * width // 8)
    column = place[None, None].expand(steps, side, -1, -1)
    row = place[None, :, None].expand(steps, -1, side, -1)
    table = torch.cat([time, column, row], dim=-1).flatten(0, 2)
    return F.pad(table, (0, 0, 1, 0))[None]


def _sines(count: int, width: int) -> Tensor:
    # numpy's float32 gives upstream's values to the bit, torch's does not.
    half = width // 2
    frequencies = 1 / _BASE ** (np.arange(half, dtype=np.float32) / half)
    angles = np.arange(count, dtype=np.float32)[:, None] * frequencies
    return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))


def resize_table(table: Tensor, *, old_steps: int, steps: int, side: int) -> Tensor:
    """Bring the table of a checkpoint to other frame counts and grids, as upstream does.

    Time first (linear, at every place), then space (bicubic without antialiasing, at every time);
    both with half-pixel centres. The class token's row is kept.

    Args:
        table: `[1, 1 + old_steps * old_side^2, C]`; the old side follows from the row count.
        old_steps: Time steps the table was trained with.
        steps: t.
        side: g.

    Returns:
        `[1, 1 + t g^2, C]` in the table's dtype.

    Raises:
        InputError: If the rows are no square grid at each of `old_steps` times.
    """
    rows, width = table.shape[1] - 1, table.shape[2]
    old_side = math.isqrt(rows // max(old_steps, 1))
    if old_steps * old_side**2 != rows or not rows:
        raise InputError(
            f"a position table of {rows} rows and a class row is no square grid at {old_steps} "
            "times; give the frame count the checkpoint was trained with"
        )
    grid = table[0, 1:].float().reshape(old_steps, old_side**2, width)
    if old_steps != steps:
        grid = F.interpolate(grid.permute(1, 2, 0), size=steps, mode="linear").permute(2, 0, 1)
    if old_side != side:
        image = grid.reshape(steps, old_side, old_side, width).permute(0, 3, 1, 2)
        image = F.interpolate(image, size=(side, side), mode="bicubic", align_corners=False)
        grid = image.permute(0, 2, 3, 1)
    resized = grid.reshape(1, steps * side**2, width).to(table.dtype)
    return torch.cat([table[:, :1], resized], dim=1)


def average_over_time(table: Tensor, *, steps: int) -> Tensor:
    """Return the table `[1, 1 + g^2, C]` of one frame: the mean over the t times."""
    still = torch.unflatten(table[:, 1:], 1, (steps, -1)).mean(1)
    return torch.cat([table[:, :1], still], dim=1)
