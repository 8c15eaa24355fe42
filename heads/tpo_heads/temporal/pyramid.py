"""A temporal feature pyramid: blocks of local and global mixing, then levels of stride 1, 2, 4.

In the manner of ActionFormer (Zhang et al., ECCV 2022) and UniVTG (Lin et al., ICCV 2023), with the
state steering every block (FiLM, Perez et al., 2018).

Shapes: N slots, T groups, T_l = ceil(T / 2^l) points of level l, C width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class MaskedConv(nn.Module):
    """A 1-D convolution over time that sees zeros at padding, as it does beyond the ends."""

    def __init__(self, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel_size=3, padding=1, stride=stride)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Convolve `[N, T, C]` under a `[N, T]` mask."""
        masked = (x * valid[..., None]).transpose(1, 2)
        convolved: Tensor = self.conv(masked)
        return convolved.transpose(1, 2)


class SteeredNorm(nn.Module):
    """Layer norm whose scale and shift come from the state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.steer = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Normalise `[N, T, C]`, steered by `[N, C]`."""
        scale, shift = self.steer(guide)[:, None].chunk(2, dim=-1)
        steered: Tensor = self.norm(x) * (1 + scale) + shift
        return steered


class TemporalBlock(nn.Module):
    """Pre-norm convolution, self-attention over valid groups, MLP; each steered by the state."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.near, self.far, self.each = (SteeredNorm(width) for _ in range(3))
        self.conv = MaskedConv(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, valid: Tensor, guide: Tensor) -> Tensor:
        """Mix over time.

        Args:
            x: `[N, T, C]`.
            valid: `[N, T]` bool.
            guide: `[N, C]`, the projected state.
        """
        x = x + self._drop(F.gelu(self.conv(self.near(x, guide), valid)))
        x = x + self._drop(self._attend(self.far(x, guide), valid))
        return x + self._drop(self.mlp(self.each(x, guide)))

    def _attend(self, x: Tensor, valid: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Pyramid(nn.Module):
    """Blocks at full rate, then levels that each halve it.

    Args:
        width: C.
        heads: Attention heads.
        depth: Blocks before the first level.
        levels: Levels, strides 1, 2, 4, ...
        dropout: After every branch of a block.
    """

    def __init__(self, width: int, *, heads: int, depth: int, levels: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TemporalBlock(width, heads=heads, dropout=dropout) for _ in range(depth)
        )
        self.halve = nn.ModuleList(MaskedConv(width, stride=2) for _ in range(levels - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(levels))

    def forward(self, x: Tensor, valid: Tensor, guide: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return `([N, T_l, C], [N, T_l] bool)` of each level."""
        for block in self.blocks:
            x = block(x, valid, guide)
        levels = [(self.norms[0](x), valid)]
        for halve, norm in zip(self.halve, self.norms[1:], strict=True):
            x, valid = F.gelu(halve(x, valid)), valid[:, ::2]
            levels.append((norm(x), valid))
        return levels
