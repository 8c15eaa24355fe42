"""The text tower of InternVideo2-CLIP: LLaMA-7B with InternVL-C's weights (Chen et al., CVPR 2024).

Shapes: L ids of one question, n of them above 0, C width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from tpo_core.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSettings:
    """Sizes of a text tower; the defaults are InternVL-C's.

    Args:
        vocabulary: Rows of the embedding table.
        width: C.
        layers: Decoder layers.
        heads: Attention heads; divides `width`.
        mlp_width: Width of a layer's MLP.
        rms_eps: Epsilon of the norms.
        rope_base: Base of the rotary frequencies.

    Raises:
        InputError: If `width` is not a multiple of `heads`.
    """

    vocabulary: int = 49954
    width: int = 4096
    layers: int = 32
    heads: int = 32
    mlp_width: int = 11008
    rms_eps: float = 1e-6
    rope_base: float = 10000.0

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise InputError(
                f"InternVideo2 text setting width is {self.width}; expected a multiple of the "
                f"{self.heads} heads"
            )


class TextTower(nn.Module):
    """Encodes one question as a row of states for each of its tokens."""

    def __init__(self, settings: TextSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or TextSettings()
        self.transformer: Any = LlamaModel(
            LlamaConfig(
                vocab_size=settings.vocabulary,
                hidden_size=settings.width,
                num_hidden_layers=settings.layers,
                num_attention_heads=settings.heads,
                intermediate_size=settings.mlp_width,
                rms_norm_eps=settings.rms_eps,
                rope_parameters={"rope_type": "default", "rope_theta": settings.rope_base},
                attn_implementation="sdpa",
            )
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Encode one unpadded question.

        An id 0 inside it, from a literal `<unk>`, is not attended to, and since upstream counts
        the ids above 0, the last row is lost for it.

        Args:
            ids: `[L]` long, as `Tokenizer.encode` gives.

        Returns:
            `[n, C]`, the states after the final norm, BOS and EOS included.
        """
        seen = ids > 0
        count = int(seen.sum())
        mask = None if count == len(ids) else seen[None]
        states: Tensor = self.transformer(
            input_ids=ids[None], attention_mask=mask, use_cache=False
        ).last_hidden_state
        return states[0, :count]

    def restore_rotary(self) -> None:
        """Compute the rotary frequencies anew, in float32, where the weights are."""
        with torch.device("cpu"):
            rotary = LlamaRotaryEmbedding(self.transformer.config)
        self.transformer.rotary_emb = rotary.to(self.transformer.norm.weight.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # In bfloat16, rotary angles would be off by up to 0.1 rad within 80 tokens.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.restore_rotary()
        return self
