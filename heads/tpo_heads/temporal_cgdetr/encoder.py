"""Self-attention over clips or words, and the layers in which clips read the text.

Shapes: B samples, L positions, Lv clips, K = dummies + words, h heads, d width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_heads.temporal_cgdetr.layers import PostNormBlock, split_heads
from tpo_heads.temporal_cgdetr.settings import CGDETRSettings


class EncoderLayer(PostNormBlock):
    """Post-norm self-attention and feed-forward; positions are added to queries and keys.

    Args:
        settings: Sizes.
        heads: Attention heads.
    """

    def __init__(self, settings: CGDETRSettings, *, heads: int) -> None:
        width, dropout = settings.hidden_dim, settings.dropout
        super().__init__(width, feedforward=settings.dim_feedforward, dropout=dropout)
        self.self_attn = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)

    def forward(self, x: Tensor, valid: Tensor, position: Tensor) -> Tensor:
        """Mix `[B, L, d]` over the `[B, L]` valid positions."""
        placed = x + position
        mixed, _ = self.self_attn(placed, placed, x, key_padding_mask=~valid, need_weights=False)
        x = self.norm1(x + self.drop_path(mixed))
        out: Tensor = self.norm2(x + self.feed(x))
        return out


class Encoder(nn.Module):
    """A stack of `EncoderLayer`.

    Args:
        settings: Sizes.
        layers: How many layers.
        heads: Attention heads of each.
    """

    def __init__(self, settings: CGDETRSettings, *, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(settings, heads=heads) for _ in range(layers))

    def forward(self, x: Tensor, valid: Tensor, position: Tensor) -> Tensor:
        """Mix over positions.

        Args:
            x: `[B, L, d]`.
            valid: `[B, L]` bool.
            position: `[B, L, d]`, or `[1, L, d]`.
        """
        for layer in self.layers:
            x = layer(x, valid, position)
        return x


class TextAttention(nn.Module):
    """Attention without input projections, whose dummy keys take weight but give no value.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__()
        self.heads, self.dropout = settings.nheads, settings.dropout
        self.num_dummies = settings.num_dummies
        self.out_proj = nn.Linear(settings.hidden_dim, settings.hidden_dim)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend from clips to dummies and words.

        Args:
            query: `[B, Lv, d]`.
            key: `[B, K, d]`, dummies first.
            value: `[B, K, d]`.
            allowed: `[B, h or 1, Lv or 1, K]` bool.

        Returns:
            `[B, Lv, d]`, and `[B, Lv, K]` weights averaged over heads.
        """
        q, k, v = (split_heads(part, self.heads) for part in (query, key, value))
        match = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        weights = match.masked_fill(~allowed, float("-inf")).softmax(-1)
        weights = F.dropout(weights, self.dropout, self.training)
        mixed = weights[..., self.num_dummies :] @ v[:, :, self.num_dummies :]
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), weights.mean(1)


class TextToVideoLayer(PostNormBlock):
    """Clips read the words that match them.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__(
            settings.hidden_dim, feedforward=settings.dim_feedforward, dropout=settings.dropout
        )
        self.self_attn = TextAttention(settings)

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        """Add what `x` `[B, L, d]` read, then feed forward (from, but not onto, its norm)."""
        x = x + self.drop_path(read)
        out: Tensor = self.norm2(x + self.feed(self.norm1(x)))
        return out


class TextToVideoEncoder(nn.Module):
    """Adaptive cross-attention with dummies: which words, if any, a clip is about.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TextToVideoLayer(settings) for _ in range(settings.t2v_layers))

    def forward(
        self, video: Tensor, video_position: Tensor, text: Tensor, key: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let clips read the text.

        Args:
            video: `[B, Lv, d]`.
            video_position: `[B, Lv, d]`.
            text: `[B, K, d]`, dummies first.
            key: `[B, K, d]`, the same with positions.
            allowed: `[B, h or 1, Lv or 1, K]` bool, which clips may attend to what.

        Returns:
            `[B, Lv, d]`, and `[B, Lv, K]` weights averaged over heads and layers.
        """
        total: Tensor | None = None
        for layer in self._typed_layers():
            read, weights = layer.self_attn(video + video_position, key, text, allowed)
            video = layer(video, read)
            total = weights if total is None else total + weights
        assert total is not None, "settings allow no encoder without layers"
        return video, total / len(self.layers)

    def without_text(self, x: Tensor) -> Tensor:
        """Pass `[B, L, d]` through the same layers with nothing to attend to.

        The sum over no keys is zero, so that attention gives its output bias; no kernel is asked to
        attend to zero keys, which not every one can.
        """
        for layer in self._typed_layers():
            x = layer(x, layer.self_attn.out_proj.bias.expand_as(x))
        return x

    def _typed_layers(self) -> Iterator[TextToVideoLayer]:
        for layer in self.layers:
            assert isinstance(layer, TextToVideoLayer)
            yield layer


def upstream_allowed(video_valid: Tensor, text_valid: Tensor, heads: int) -> Tensor:
    """Return which clips may attend to which words in upstream's padded batches.

    It masks padded words, and beside them the pairs of a padded clip and a padded word; but it lays
    that second mask out head by head for an attention that reads it sample by sample. Head h of
    sample b is so denied the pairs that are padding in sample (b * heads + h) mod B.

    Args:
        video_valid: `[B, Lv]` bool.
        text_valid: `[B, K]` bool.
        heads: h.

    Returns:
        `[B, h, Lv, K]` bool.
    """
    samples = len(video_valid)
    padding = ~video_valid[:, :, None] & ~text_valid[:, None]
    other = torch.arange(samples * heads, device=video_valid.device) % samples
    return text_valid[:, None, None] & ~padding[other.view(samples, heads)]
