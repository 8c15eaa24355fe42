"""Position ids of packed trees: each branch goes on where its record's prefix ends.

Shapes: A position axes (3 for multimodal rotary embeddings, else 1), P tokens of a prefix.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tpo_core.backbone import PackedTokens, RenderedRecord


class Positions:
    """Computes position ids the way a model does.

    Args:
        base: The model without its head; asked for `get_rope_index` where it has one.
    """

    def __init__(self, base: Any) -> None:
        self.rope_index = getattr(base, "get_rope_index", None)
        known = inspect.signature(self.rope_index).parameters if self.rope_index else {}
        self.names = [name for name in known if name not in ("input_ids", "attention_mask")]

    @property
    def axes(self) -> int:
        """A."""
        return 3 if self.rope_index is not None else 1

    def prefix(self, record: RenderedRecord, device: torch.device) -> tuple[Tensor, int]:
        """Return the positions of a prefix, `[A, P]`, and the position of the token after it."""
        length = len(record.prefix_ids)
        if self.rope_index is None or not record.inputs:
            return torch.arange(length, device=device).expand(self.axes, length), length
        # One text token more tells where the branches go on. Computed on the CPU: the model's own
        # code walks through the ids with Python loops.
        ids = torch.cat([record.prefix_ids.cpu(), record.prefix_ids.new_zeros(1).cpu()])[None]
        known: Mapping[str, Any] = {**record.inputs, **record.extras}
        options = {name: known[name] for name in self.names if name in known}
        for name, value in options.items():
            options[name] = value.cpu() if isinstance(value, Tensor) else value
        for name in ("mm_token_type_ids",):
            if name in options:
                types = options[name]
                options[name] = torch.cat([types, types.new_zeros(1)])[None]
        positions, _ = self.rope_index(ids, **options)
        positions = positions[-3:, 0].to(device)
        return positions[:, :length], int(positions[0, length])

    def row(self, batch: PackedTokens) -> Tensor:
        """Return the positions of every token of a packed row, `[A, L]`."""
        device, parts = batch.ids.device, []
        for record in batch.records:
            prefix, start = self.prefix(record, device)
            parts.append(prefix)
            for branch in record.branches:
                parts.append(self.after(start, len(branch.ids), device))
        return torch.cat(parts, 1)

    def after(self, start: int, length: int, device: torch.device) -> Tensor:
        """Return positions of `length` text tokens from `start` on, `[A, length]`."""
        return torch.arange(start, start + length, device=device).expand(self.axes, length)

    def shaped(self, positions: Tensor) -> Tensor:
        """Turn `[A, B, L]` into what the model takes: `[B, L]` for a single axis."""
        return positions if self.rope_index is not None else positions[0]
