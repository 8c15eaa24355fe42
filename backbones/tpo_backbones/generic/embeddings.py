"""Put computed embeddings in place of prompt tokens' input rows.

A hook on the input embedding is the one place that works in every family: passing `inputs_embeds`
instead of ids loses deepstack features and added image features without a word.

Shapes: B rows, l tokens, D hidden size, E occurrences.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tpo_core.backbone import TokenEmbeddings


@contextmanager
def replaced(module: nn.Module, embeddings: TokenEmbeddings | None) -> Iterator[None]:
    """Replace rows of the input embedding's output while the context lasts.

    A batch may be fed in several calls; each takes the values for the tokens it holds.

    Args:
        module: The input embedding, or PEFT's wrapper of it.
        embeddings: What to put where; None for nothing.
    """
    if embeddings is None or len(embeddings.token_ids) == 0:
        yield
        return
    used = 0

    def hook(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        nonlocal used
        wanted = torch.isin(inputs[0], embeddings.token_ids.to(inputs[0].device))
        start, used = used, used + int(wanted.sum())
        values = embeddings.values[start:used].to(output.device, output.dtype)
        assert len(values) == used - start, "more prompt tokens than embeddings for them"
        return output.masked_scatter(wanted[..., None], values)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    expected = len(embeddings.token_ids)
    assert used == expected, f"{used} prompt tokens in the batch, {expected} embeddings for them"
