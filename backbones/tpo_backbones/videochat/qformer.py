"""The Q-Former: learned queries gather what they need from the vision tokens.

A BERT whose even layers also attend to vision tokens from the queries' places. An instruction may
be put beside the queries; its tokens and the queries attend to each other but have feed-forward
layers of their own. Its modules have the names of the published checkpoint.

Shapes: B items, Q queries, I instruction tokens, R = Q + I rows, D width, N vision tokens,
V their width, H heads, E head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class QFormerConfig:
    """The Q-Former's sizes; the defaults are those of the published model.

    Args:
        width: D.
        layers: How many layers.
        heads: H.
        intermediate_size: Hidden width of the feed-forward layers.
        cross_attention_every: Every which layer, from the first, attends to vision tokens.
        queries: Queries that image pretraining learned.
        extra_queries: Queries added behind them for videos.
        vocabulary: Rows of the instruction's word embeddings.
        max_positions: Longest instruction.
        norm_eps: Of all layer norms.
        dropout: On the output of every part, and on the embeddings.
        attention_dropout: On attention weights.
        drop_path: Drop-path rate of the last layer; it rises from 0 at the first.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    intermediate_size: int = 3072
    cross_attention_every: int = 2
    queries: int = 32
    extra_queries: int = 64
    vocabulary: int = 30_523
    max_positions: int = 512
    norm_eps: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    drop_path: float = 0.2


class QFormer(nn.Module):
    """The stack of layers and the instruction's embeddings; the queries come from outside.

    Args:
        config: Its sizes.
        vision_width: V.
    """

    def __init__(self, config: QFormerConfig, *, vision_width: int) -> None:
        super().__init__()
        rates = torch.linspace(0, config.drop_path, config.layers, device="cpu").tolist()
        layers = nn.ModuleList(
            Layer(
                config,
                vision_width=None if number % config.cross_attention_every else vision_width,
                drop_path=rate,
            )
            for number, rate in enumerate(rates)
        )
        self.bert = nn.ModuleDict(
            {"embeddings": Embeddings(config), "encoder": nn.ModuleDict({"layer": layers})}
        )

    def forward(
        self,
        queries: Tensor,
        vision: Tensor,
        *,
        text_ids: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> Tensor:
        """Let queries, and an instruction if there is one, look at vision tokens.

        Args:
            queries: `[B, Q, D]`.
            vision: `[B, N, V]`.
            text_ids: `[B, I]` long, the instruction; None for none, as the published model runs.
            text_mask: `[B, I]`, 1 where the instruction is no padding; None for no padding.

        Returns:
            `[B, R, D]`, the queries' states first.
        """
        x = self.bert["embeddings"](queries, text_ids)
        mask = None
        if text_mask is not None:
            seen = torch.cat([text_mask.new_ones(queries.shape[:2]), text_mask], 1)
            # Padding is held down rather than shut out, as BERT was trained.
            mask = ((1 - seen.to(x.dtype)) * -10000.0)[:, None, None]
        for layer in self.bert["encoder"]["layer"]:  # type: ignore[index]  # a module dict
            x = layer(x, vision, queries=queries.shape[1], mask=mask)
        states: Tensor = x
        return states


class Embeddings(nn.Module):
    """Embeds the instruction, puts it behind the queries, and normalises both.

    Args:
        config: The Q-Former's sizes.
    """

    position_ids: Tensor

    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.max_positions, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("position_ids", torch.arange(config.max_positions)[None])

    def forward(self, queries: Tensor, text_ids: Tensor | None) -> Tensor:
        """Return `[B, R, D]`; queries have no position, and padding on the left shifts none."""
        x = queries
        if text_ids is not None:
            places = self.position_embeddings(self.position_ids[:, : text_ids.shape[1]])
            x = torch.cat([queries, self.word_embeddings(text_ids) + places], 1)
        embedded: Tensor = self.dropout(self.LayerNorm(x))
        return embedded


class Layer(nn.Module):
    """Self-attention of all rows, cross-attention of the queries, feed-forward layers of each kind.

    Args:
        config: The Q-Former's sizes.
        vision_width: V, or None for a layer without cross-attention.
        drop_path: Share of samples that skip a branch in training.
    """

    def __init__(
        self, config: QFormerConfig, *, vision_width: int | None, drop_path: float
    ) -> None:
        super().__init__()
        inner = config.intermediate_size
        self.attention = Attention(config, key_width=config.width, drop_path=drop_path)
        self.crossattention = (
            None
            if vision_width is None
            else Attention(config, key_width=vision_width, drop_path=drop_path)
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.width, inner)})
        self.output = Output(config, inner, drop_path=drop_path)
        self.intermediate_query = nn.ModuleDict({"dense": nn.Linear(config.width, inner)})
        self.output_query = Output(config, inner, drop_path=drop_path)

    def forward(self, x: Tensor, vision: Tensor, *, queries: int, mask: Tensor | None) -> Tensor:
        """Map rows `[B, R, D]`, of which the first `queries` are queries, to the same shape."""
        x = self.attention(x, x, mask)
        asked: Tensor = x[:, :queries]
        text = x[:, queries:]
        if self.crossattention is not None:
            asked = self.crossattention(asked, vision, None)
        inner = F.gelu(self.intermediate_query["dense"](asked))
        asked = self.output_query(inner, asked)
        if text.shape[1] == 0:
            return asked
        inner = F.gelu(self.intermediate["dense"](text))
        return torch.cat([asked, self.output(inner, text)], 1)


class Attention(nn.Module):
    """Attention with its output layer and the norm behind it.

    Args:
        config: The Q-Former's sizes.
        key_width: Width of what keys and values are made of.
        drop_path: Share of samples that skip it in training.
    """

    def __init__(self, config: QFormerConfig, *, key_width: int, drop_path: float) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.self = nn.ModuleDict(
            {
                "query": nn.Linear(config.width, config.width),
                "key": nn.Linear(key_width, config.width),
                "value": nn.Linear(key_width, config.width),
            }
        )
        self.output = Output(config, config.width, drop_path=drop_path)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        """Let rows look at a source.

        Args:
            x: `[B, R, D]`.
            source: `[B, N, V]`.
            mask: `[B, 1, 1, N]`, added to the scores; None for none.

        Returns:
            `[B, R, D]`.
        """
        q_BHRE, k_BHNE, v_BHNE = (
            self.self[name](rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name, rows in (("query", x), ("key", source), ("value", source))
        )
        mixed = F.scaled_dot_product_attention(
            q_BHRE,
            k_BHNE,
            v_BHNE,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        added: Tensor = self.output(mixed.transpose(1, 2).flatten(2), x)
        return added


class Output(nn.Module):
    """A linear layer whose result is added to what went in before, then normalised.

    Args:
        config: The Q-Former's sizes.
        width: Of what comes in.
        drop_path: Share of samples that skip it in training.
    """

    def __init__(self, config: QFormerConfig, width: int, *, drop_path: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, inner: Tensor, x: Tensor) -> Tensor:
        """Add a branch `[B, R, width]` to `x` `[B, R, D]`."""
        added: Tensor = self.LayerNorm(self.drop_path(self.dropout(self.dense(inner))) + x)
        return added
