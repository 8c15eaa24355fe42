"""Layers of InternVideo2's vision tower, with upstream's parameter names.

Shapes: B clips, L tokens, C width, D width of a clip's feature.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_RMS_EPS = 1e-6
_LAYER_NORM_EPS = 1e-5
_LAYER_SCALE = 0.1


class RMSNorm(nn.Module):
    """RMSNorm that rounds to the input's dtype before it multiplies by the weight, as upstream."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `[B, L, C]`; the statistics are float32."""
        return self.weight * F.rms_norm(x, self.weight.shape, eps=_RMS_EPS)


class Attention(nn.Module):
    """Full self-attention; queries and keys are RMS-normalised over all heads together."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm = RMSNorm(width)
        self.k_norm = RMSNorm(width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within `[B, L, C]`."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        out: Tensor = self.proj(
            _attend(self.q_norm(query), self.k_norm(key), value, heads=self.heads)
        )
        return out


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, *, hidden: int, gelu: Literal["exact", "tanh"]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU("tanh" if gelu == "tanh" else "none")
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, L, C]` to itself."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., ICCV 2021)."""

    def __init__(self, width: int, *, fp32: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), _LAYER_SCALE))
        self.fp32 = fp32

    def forward(self, x: Tensor) -> Tensor:
        """Scale `[B, L, C]`."""
        return (x.float() * self.gamma.float()).to(x.dtype) if self.fp32 else x * self.gamma


class AttentionPool(nn.Module):
    """Pools tokens by attention whose query is their mean, and projects to the clip's feature."""

    def __init__(self, width: int, *, heads: int, out: int) -> None:
        super().__init__()
        self.norm1_q = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.norm1_k = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.norm1_v = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.cross_attn = CrossAttention(width, heads=heads, out=out)

    def forward(self, x: Tensor) -> Tensor:
        """Pool `[B, L, C]`, class token included, to `[B, D]`."""
        query = self.norm1_q(x.mean(1, keepdim=True))
        pooled: Tensor = self.cross_attn(query, self.norm1_k(x), self.norm1_v(x))
        return pooled[:, 0]


class CrossAttention(nn.Module):
    """Attention with separate projections; the output has its own width."""

    def __init__(self, width: int, *, heads: int, out: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        # Upstream keeps the biases beside the projections.
        self.q_bias, self.k_bias, self.v_bias = (nn.Parameter(torch.zeros(width)) for _ in range(3))
        self.proj = nn.Linear(width, out)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from `[B, 1, C]` to `[B, L, C]`; returns `[B, 1, D]`."""
        mixed = _attend(
            F.linear(query, self.q.weight, self.q_bias),
            F.linear(key, self.k.weight, self.k_bias),
            F.linear(value, self.v.weight, self.v_bias),
            heads=self.heads,
        )
        out: Tensor = self.proj(mixed)
        return out


def _attend(query: Tensor, key: Tensor, value: Tensor, *, heads: int) -> Tensor:
    """Attend over all tokens; `[B, L, C]` in and out, heads inside C."""
    query, key, value = (
        torch.unflatten(part, -1, (heads, -1)).transpose(1, 2) for part in (query, key, value)
    )
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
