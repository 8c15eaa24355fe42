"""From a task token's state to SAM2's prompt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tpo_heads.mask.prompts import PROMPT_ROWS


class TwoLayers(nn.Module):
    """Linear, ReLU, Linear; parameter names are upstream's (`layers.0`, `layers.1`).

    Args:
        width: Input width.
        hidden: Width between the layers.
        out: Output width.
    """

    def __init__(self, width: int, *, hidden: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, hidden), nn.Linear(hidden, out)])

    def forward(self, states: Tensor) -> Tensor:
        """Map `[N, width]` to `[N, out]`."""
        hidden: Tensor = self.layers[0](states).relu()
        out: Tensor = self.layers[1](hidden)
        return out


class PromptAdapter(TwoLayers):
    """Maps states `[N, D]` to sparse prompt embeddings `[N, 3, C]` (upstream's `track_embed`).

    Args:
        width: D.
        hidden: Width between the layers.
        start: `[3, C]`, what every state is mapped to before training, up to the second layer's
            initial weights; SAM2's embedding of a centred box keeps its decoder where it was
            trained.
    """

    def __init__(self, width: int, *, hidden: int, start: Tensor) -> None:
        super().__init__(width, hidden=hidden, out=start.numel())
        with torch.no_grad():
            self.layers[1].get_parameter("bias").copy_(start.flatten())

    def forward(self, states: Tensor) -> Tensor:
        """Map `[N, D]` to float32 `[N, 3, C]`."""
        return super().forward(states).float().reshape(len(states), PROMPT_ROWS, -1)
