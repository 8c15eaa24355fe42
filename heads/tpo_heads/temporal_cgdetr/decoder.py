"""The decoder: queries with moving anchors look for spans (DAB-DETR, Liu et al., 2022).

Shapes: B samples, Q queries, Lv clips, h heads, d width. Anchors are (centre, width) in [0, 1].
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_heads.temporal_cgdetr.layers import (
    MLP,
    PostNormBlock,
    inverse_sigmoid,
    sine_code,
    split_heads,
)
from tpo_heads.temporal_cgdetr.settings import CGDETRSettings


class OutputAttention(nn.Module):
    """Attention over heads projected by the caller; owns the output projection alone.

    Args:
        width: d.
        dropout: Of attention weights.
    """

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.out_proj = nn.Linear(width, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            q: `[B, h, Q, e]`; e may differ from d / h.
            k: `[B, h, L, e]`.
            v: `[B, h, L, d / h]`.
            valid: `[B, L]` bool, if keys are padded.

        Returns:
            `[B, Q, d]`.
        """
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if valid is None else valid[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class DecoderLayer(PostNormBlock):
    """Self-attention of queries, conditional cross-attention to clips, feed-forward.

    Args:
        settings: Sizes.
        first: Whether it is the first layer: its content queries are zero, so that positions are
            added to queries and keys of the cross-attention too, and self-attention mixes equal
            values.
    """

    def __init__(self, settings: CGDETRSettings, *, first: bool) -> None:
        width = settings.hidden_dim
        super().__init__(width, feedforward=settings.dim_feedforward, dropout=settings.dropout)
        self.heads, self.first = settings.nheads, first
        self.sa_qcontent_proj = nn.Linear(width, width)
        self.sa_qpos_proj = nn.Linear(width, width)
        self.sa_kcontent_proj = nn.Linear(width, width)
        self.sa_kpos_proj = nn.Linear(width, width)
        self.sa_v_proj = nn.Linear(width, width)
        self.self_attn = OutputAttention(width, dropout=settings.dropout)
        self.ca_qcontent_proj = nn.Linear(width, width)
        self.ca_qpos_proj = nn.Linear(width, width) if first else None
        self.ca_kcontent_proj = nn.Linear(width, width)
        self.ca_kpos_proj = nn.Linear(width, width)
        self.ca_v_proj = nn.Linear(width, width)
        self.ca_qpos_sine_proj = nn.Linear(width, width)
        self.cross_attn = OutputAttention(width, dropout=settings.dropout)
        self.norm3 = nn.LayerNorm(width)
        if first:
            # Equal values make every attention pattern the same: these have no influence, and
            # would be moved by weight decay alone.
            self.sa_v_proj.weight.requires_grad_(False)
            for unused in ("qcontent", "qpos", "kcontent", "kpos"):
                self.get_submodule(f"sa_{unused}_proj").requires_grad_(False)

    def forward(
        self,
        x: Tensor,
        query_position: Tensor,
        query_sine: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Update the queries.

        Args:
            x: `[B, Q, d]`, contents of the queries.
            query_position: `[B, Q, d]`, learned from the anchors.
            query_sine: `[B, Q, d]`, sine code of the anchors, scaled by content.
            memory: `[B, Lv, d]`.
            memory_position: `[B, Lv, d]`.
            valid: `[B, Lv]` bool.

        Returns:
            `[B, Q, d]`.
        """
        q = self.sa_qcontent_proj(x) + self.sa_qpos_proj(query_position)
        k = self.sa_kcontent_proj(x) + self.sa_kpos_proj(query_position)
        mixed = self.self_attn(self._split(q), self._split(k), self._split(self.sa_v_proj(x)))
        x = self.norm1(x + self.drop_path(mixed))

        q, k = self.ca_qcontent_proj(x), self.ca_kcontent_proj(memory)
        k_position = self.ca_kpos_proj(memory_position)
        if self.ca_qpos_proj is not None:
            q, k = q + self.ca_qpos_proj(query_position), k + k_position
        q_sine = self.ca_qpos_sine_proj(query_sine)
        found = self.cross_attn(
            torch.cat([self._split(q), self._split(q_sine)], dim=-1),
            torch.cat([self._split(k), self._split(k_position)], dim=-1),
            self._split(self.ca_v_proj(memory)),
            valid,
        )
        x = self.norm2(x + self.drop_path(found))
        out: Tensor = self.norm3(x + self.feed(x))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return split_heads(x, self.heads)


class Decoder(nn.Module):
    """Refines the queries' anchors layer by layer.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__()
        width = self.width = settings.hidden_dim
        self.layers = nn.ModuleList(
            DecoderLayer(settings, first=number == 0) for number in range(settings.dec_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.query_scale = MLP(width, width, width)
        self.ref_point_head = MLP(width, width, width)
        self.ref_anchor_head = MLP(width, width, 1)
        self.bbox_embed = MLP(width, width, width, 2)
        nn.init.zeros_(self.bbox_embed.layers[-1].get_parameter("bias"))

    def forward(
        self, anchors: Tensor, memory: Tensor, memory_position: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            anchors: `[Q, 2]` logits of the first anchors.
            memory: `[B, Lv, d]`.
            memory_position: `[B, Lv, d]`.
            valid: `[B, Lv]` bool.

        Returns:
            `[layers, B, Q, d]` normed queries after each layer, and `[layers, B, Q, 2]` float32,
            the anchors each layer started from.
        """
        anchor = anchors.float().sigmoid().expand(len(memory), -1, -1)
        x = memory.new_zeros(*anchor.shape[:2], self.width)
        states, starts = [], [anchor]
        for number, layer in enumerate(self.layers):
            centre, width = (2 * math.pi * anchor).unbind(-1)
            code = [sine_code(angle, self.width // 2) for angle in (centre, width)]
            sine = torch.cat(code, dim=-1).to(x.dtype)
            position = self.ref_point_head(sine)
            if number:
                sine = sine * self.query_scale(x)
            sine = sine * (self.ref_anchor_head(x).sigmoid() / anchor[..., 1:]).to(x.dtype)
            x = layer(x, position, sine, memory, memory_position, valid)
            states.append(self.norm(x))
            refined = (self.bbox_embed(x).float() + inverse_sigmoid(anchor)).sigmoid()
            starts.append(refined)
            anchor = refined.detach()
        return torch.stack(states), torch.stack(starts[:-1])
