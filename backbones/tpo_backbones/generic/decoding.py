"""Decoding on a KV cache with explicit positions: a prefix runs once and is branched many times.

Rows of one state that can share a forward pass form a group. Models of plain attention have one
group, whose rows may differ in length (padding in the cache is masked out). Sliding windows and
linear layers cannot skip padding, so there every row is a group of its own.

Shapes: B rows, l new tokens, C cached tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tpo_backbones.generic.cache import copied, new_cache, selected
from tpo_backbones.generic.embeddings import replaced
from tpo_backbones.generic.visual import Visual
from tpo_core.backbone import RenderedRecord, TokenEmbeddings

if TYPE_CHECKING:
    from tpo_backbones.generic.decoder_adapter import DecoderAdapter


@dataclass(slots=True, eq=False)
class Group:
    """Rows that run together.

    Args:
        cache: Their KV cache, C tokens long.
        real: `[B, C]` long, 1 where a cached token is real and 0 where it is padding.
        next: `[B]` long, the position of each row's next token.
    """

    cache: Any
    real: Tensor
    next: Tensor

    @property
    def rows(self) -> int:
        """B."""
        return len(self.next)

    def pick(self, rows: Tensor) -> Group:
        """Return a copy with row b replaced by row `rows[b]`."""
        cache = copied(self.cache)
        if self.real.shape[1]:
            selected(cache, rows)
        return Group(cache=cache, real=self.real[rows], next=self.next[rows])


@dataclass(slots=True, eq=False)
class State:
    """A decoding state: groups of rows, in row order."""

    groups: list[Group]

    @property
    def rows(self) -> int:
        """B."""
        return sum(group.rows for group in self.groups)


@torch.no_grad()
def prefill(adapter: DecoderAdapter, record: RenderedRecord, visual: Visual | None) -> State:
    """Run a record's media prefix; the state has one row."""
    device = adapter.device
    cache = new_cache(adapter.model.config)
    ids = record.prefix_ids.to(device)[None]
    positions, start = adapter.positions.prefix(record, device)
    if ids.shape[1]:
        _, cache = adapter.run(
            ids,
            mask=torch.ones_like(ids),
            positions=positions[:, None],
            types=adapter.masks.types(record, 0).to(device)[None],
            visual=[] if visual is None else [visual],
            cache=cache,
        )
    next_position = torch.tensor([start], device=device)
    return State([Group(cache=cache, real=torch.ones_like(ids), next=next_position)])


def branch(adapter: DecoderAdapter, state: State, rows: int) -> State:
    """Copy a one-row state to `rows` rows."""
    assert state.rows == 1, f"a state of {state.rows} rows cannot be branched"
    zeros = torch.zeros(rows, dtype=torch.long, device=adapter.device)
    return reorder(adapter, state, zeros)


def reorder(adapter: DecoderAdapter, state: State, rows: Tensor) -> State:
    """Return a state whose row b is a copy of row `rows[b]`."""
    rows = rows.to(adapter.device)
    if len(state.groups) == 1 and adapter.shares_padded_cache:
        return State([state.groups[0].pick(rows)])
    # Find each wanted row's group and its place there.
    places = [(group, row) for group in state.groups for row in range(group.rows)]
    picked = [places[row] for row in rows.tolist()]
    return State([group.pick(rows.new_tensor([row])) for group, row in picked])


@torch.no_grad()
def extend(
    adapter: DecoderAdapter,
    state: State,
    ids: Tensor,
    lengths: Tensor,
    embeddings: TokenEmbeddings | None,
) -> Tensor:
    """Feed right-padded tokens to every row in place; return their states, `[B, l, D]`."""
    ids, lengths = ids.to(adapter.device), lengths.to(adapter.device)
    steps = torch.arange(ids.shape[1], device=ids.device)
    # Padding must not look like a prompt token to the embedding hook.
    ids = ids.where(steps[None] < lengths[:, None], adapter.pad_id)
    states = torch.zeros(*ids.shape, adapter.hidden_size, device=ids.device, dtype=adapter.dtype)
    at = used = 0
    for group in state.groups:
        rows = slice(at, at + group.rows)
        at = rows.stop
        longest = int(lengths[rows].max())
        if longest == 0:
            continue
        own = ids[rows, :longest]
        given = _share(embeddings, own, used)
        used += len(given.token_ids) if given is not None else 0
        with replaced(adapter.input_embedding, given):
            fed = _feed(adapter, group, own, lengths[rows])
        states[rows, :longest] = fed.to(states.dtype)
    return states


def _feed(adapter: DecoderAdapter, group: Group, ids: Tensor, lengths: Tensor) -> Tensor:
    steps = torch.arange(ids.shape[1], device=ids.device)
    real = (steps[None] < lengths[:, None]).long()
    mask = torch.cat([group.real, real], 1)
    positions = group.next[:, None] + steps[None]
    states, group.cache = adapter.run(
        ids,
        mask=mask,
        positions=positions[None].expand(adapter.positions.axes, -1, -1),
        types=torch.full_like(ids, adapter.masks.text_type),
        visual=[],
        cache=group.cache,
    )
    group.real, group.next = mask, group.next + lengths
    return states


def _share(embeddings: TokenEmbeddings | None, ids: Tensor, used: int) -> TokenEmbeddings | None:
    """Return the embeddings that belong to these rows, `used` of them having gone before."""
    if embeddings is None:
        return None
    count = int(torch.isin(ids, embeddings.token_ids.to(ids.device)).sum())
    return TokenEmbeddings(
        token_ids=embeddings.token_ids[used : used + count],
        values=embeddings.values[used : used + count],
    )


def has_plain_cache(config: Any) -> bool:
    """Tell whether every layer of a model's cache keeps all tokens, so padding can be masked."""
    from transformers.cache_utils import DynamicLayer

    layers: Sequence[Any] = new_cache(config).layers
    return all(type(layer) is DynamicLayer for layer in layers)
