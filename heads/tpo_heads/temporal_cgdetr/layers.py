"""Small parts of CG-DETR: projections, the post-norm block, sine codes. Names are upstream's.

Shapes: B samples, L positions, d width.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        *widths: Of the input and of each layer's output.
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., widths[0]]` to `[..., widths[-1]]`."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class InputLayer(nn.Module):
    """Layer norm, dropout, linear, and ReLU if another follows.

    Args:
        before: Width of the input.
        after: Width of the output.
        dropout: Of the normed input.
        relu: Whether another layer follows.
    """

    def __init__(self, before: int, after: int, *, dropout: float, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.LayerNorm = nn.LayerNorm(before)
        self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(before, after))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., before]` to `[..., after]`."""
        x = self.net(self.LayerNorm(x))
        return F.relu(x) if self.relu else x


def input_projection(before: int, after: int, *, dropout: float) -> nn.Sequential:
    """Return the two-layer projection of a kind of input; see `InputLayer`."""
    return nn.Sequential(
        InputLayer(before, after, dropout=dropout, relu=True),
        InputLayer(after, after, dropout=dropout, relu=False),
    )


class PostNormBlock(nn.Module):
    """What encoder, text-to-video and decoder layers share: two norms and a feed-forward block.

    Args:
        width: d.
        feedforward: Width inside the block.
        dropout: Inside the block, and rate at which a sample skips a whole branch.
    """

    def __init__(self, width: int, *, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.rate = dropout
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.activation = nn.PReLU()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def feed(self, x: Tensor) -> Tensor:
        """Run the feed-forward block on `[B, L, d]`; a sample may skip it."""
        inner = F.dropout(self.activation(self.linear1(x)), self.rate, self.training)
        return self.drop_path(self.linear2(inner))

    def drop_path(self, x: Tensor) -> Tensor:
        """Zero a branch `[B, L, d]` of whole samples in training (Huang et al., 2016)."""
        if not self.training or not self.rate:
            return x
        keep = x.new_empty(len(x), 1, 1).bernoulli_(1 - self.rate)
        return x * keep / (1 - self.rate)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Turn `[B, L, d]` into `[B, heads, L, d / heads]`."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def sine_code(angle: Tensor, width: int) -> Tensor:
    """Return interleaved sines and cosines of `angle` over `width` / 2 wavelengths.

    Args:
        angle: `[...]` float32, in radians for the shortest wavelength.
        width: Even.

    Returns:
        `[..., width]`.
    """
    step = torch.arange(width // 2, device=angle.device, dtype=torch.float32)
    scaled = angle[..., None] / 10000 ** (2 * step / width)
    return torch.stack([scaled.sin(), scaled.cos()], dim=-1).flatten(-2)


def clip_positions(valid: Tensor, width: int) -> Tensor:
    """Return `[B, L, width]` float32 codes of each clip's place between start and end.

    Args:
        valid: `[B, L]` bool, True first.
        width: d.
    """
    count = valid.cumsum(1).float()
    return sine_code(2 * math.pi * count / (count[:, -1:] + 1e-6), width)


def inverse_sigmoid(x: Tensor) -> Tensor:
    """Return the logit of values in [0, 1], those nearer than 1e-3 to an end clamped."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=1e-3) / (1 - x).clamp(min=1e-3))
