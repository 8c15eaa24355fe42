"""Adding task tokens to a tokenizer and to the embeddings of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def add_to_tokenizer(tokenizer: Any, texts: Sequence[str]) -> tuple[int, ...]:
    """Add ordinary tokens (known ones are kept) and return all their ids.

    They are not special, so that decoding keeps them, and strip no blanks. They match the raw text:
    a normalizer that marks word starts would otherwise hide a token in the middle of a word.
    """
    from transformers import AddedToken

    known = tokenizer.get_vocab()
    new = [
        AddedToken(text, special=False, normalized=False, lstrip=False, rstrip=False)
        for text in texts
        if text not in known
    ]
    tokenizer.add_tokens(new)
    return tuple(int(tokenizer.convert_tokens_to_ids(text)) for text in texts)


@torch.no_grad()
def give_rows(model: Any, new: Sequence[int], *, known: int) -> int:
    """Make sure that input and output embeddings have rows for new ids, each the mean of the old.

    Tables that are already long enough (many are padded) keep their size.

    Args:
        model: A transformers model.
        new: Ids without a trained row.
        known: How many ids the tokenizer had before.

    Returns:
        Rows that the tables have now, or 0 if they did not grow.
    """
    tables = [table.weight for table in _tables(model)]
    means = [_mean(table[: min(known, len(table))]) for table in tables]
    rows = max(new) + 1
    has_grown = rows > len(tables[0]) or rows > len(tables[-1])
    if has_grown:
        model.resize_token_embeddings(max(rows, len(tables[0])), mean_resizing=False)
    for table, mean in zip(_tables(model), means, strict=True):
        table.weight[list(new)] = mean
    return len(_tables(model)[0].weight) if has_grown else 0


def _tables(model: Any) -> list[Any]:
    """Return the input embedding and, where it is a tensor of its own, the output embedding."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    is_tied = outputs is None or outputs.weight is inputs.weight
    return [inputs] if is_tied else [inputs, outputs]


def _mean(rows: Tensor) -> Tensor:
    return rows.float().mean(0).to(rows.dtype)
