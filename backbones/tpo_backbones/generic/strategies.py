"""Three ways to run packed trees, with one result: the last hidden state of every token.

`tree` runs the whole row once under a tree mask. `prefix_cache` runs each prefix once and its
branches as a batch that continues the prefix's KV cache, for models with layers that no mask can
isolate (linear attention, short convolutions). `single` runs each path as a row of its own.

Shapes: L tokens of the packed row, D hidden size, B rows, l tokens of the longest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tpo_backbones.generic.cache import expanded, trainable_cache
from tpo_backbones.generic.visual import Visual
from tpo_core.backbone import PackedTokens, RenderedRecord

if TYPE_CHECKING:
    from tpo_backbones.generic.decoder_adapter import DecoderAdapter


def tree(adapter: DecoderAdapter, batch: PackedTokens, visual: Sequence[Visual | None]) -> Tensor:
    """Run the row once, `[L, D]`."""
    states, _ = adapter.run(
        batch.ids[None],
        mask=adapter.masks.row(batch, dtype=adapter.dtype),
        positions=adapter.positions.row(batch)[:, None],
        types=_types(adapter, batch)[None],
        visual=[item for item in visual if item is not None],
    )
    return states[0]


def prefix_cache(
    adapter: DecoderAdapter, batch: PackedTokens, visual: Sequence[Visual | None]
) -> Tensor:
    """Run every prefix once and its branches on top of its cache, `[L, D]`."""
    parts = []
    for record, item in zip(batch.records, visual, strict=True):
        if len(record.prefix_ids) == 0:
            parts += _rows(adapter, [_path(record, branch, None) for branch in _branches(record)])
            continue
        positions, start = adapter.positions.prefix(record, batch.ids.device)
        cache = trainable_cache(adapter.model.config)
        ids = record.prefix_ids.to(batch.ids.device)[None]
        states, cache = adapter.run(
            ids,
            mask=torch.ones_like(ids),
            positions=positions[:, None],
            types=adapter.masks.types(record, 0).to(ids.device)[None],
            visual=[] if item is None else [item],
            cache=cache,
        )
        parts.append(states[0])
        if record.branches:
            parts += _on_cache(adapter, record, expanded(cache, len(record.branches)), start)
    return torch.cat(parts)


def single(adapter: DecoderAdapter, batch: PackedTokens, visual: Sequence[Visual | None]) -> Tensor:
    """Run every path as a row of its own in one right-padded batch, `[L, D]`."""
    paths, is_first = [], []
    for record, item in zip(batch.records, visual, strict=True):
        for number, branch in enumerate(_branches(record)):
            paths.append(_path(record, branch, item))
            is_first.append(number == 0)
    parts = []
    for path, states, first in zip(paths, _rows(adapter, paths), is_first, strict=True):
        # The prefix's states are the same in each branch; keep the first.
        parts.append(states if first else states[len(path[0].prefix_ids) :])
    return torch.cat(parts)


_Path = tuple[RenderedRecord, Tensor, Visual | None]


def _path(record: RenderedRecord, branch: Tensor, item: Visual | None) -> _Path:
    return record, branch, item


def _branches(record: RenderedRecord) -> list[Tensor]:
    """Return the ids of the branches; a record without any still has its prefix to run."""
    empty = record.prefix_ids.new_empty(0)
    return [branch.ids for branch in record.branches] or [empty]


def _rows(adapter: DecoderAdapter, paths: Sequence[_Path]) -> list[Tensor]:
    """Run paths as one right-padded batch; return each path's states without padding."""
    device = adapter.device
    ids, positions, types = [], [], []
    for record, branch, _ in paths:
        prefix, start = adapter.positions.prefix(record, device)
        after = adapter.positions.after(start, len(branch), device)
        ids.append(torch.cat([record.prefix_ids.to(device), branch.to(device)]))
        positions.append(torch.cat([prefix, after], 1).T)
        types.append(adapter.masks.types(record, len(branch)).to(device))
    lengths = [len(row) for row in ids]
    states, _ = adapter.run(
        pad_sequence(ids, batch_first=True, padding_value=adapter.pad_id),
        mask=pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        positions=pad_sequence(positions, batch_first=True).permute(2, 0, 1),
        types=pad_sequence(types, batch_first=True),
        visual=[item for _, _, item in paths if item is not None],
    )
    return [row[:length] for row, length in zip(states, lengths, strict=True)]


def _on_cache(
    adapter: DecoderAdapter, record: RenderedRecord, cache: object, start: int
) -> list[Tensor]:
    """Run a record's branches as one right-padded batch behind its cached prefix."""
    device = adapter.device
    ids = [branch.ids.to(device) for branch in record.branches]
    padded = pad_sequence(ids, batch_first=True, padding_value=adapter.pad_id)
    real = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    prefix = real.new_ones(len(ids), len(record.prefix_ids))
    positions = adapter.positions.after(start, padded.shape[1], device)
    states, _ = adapter.run(
        padded,
        mask=torch.cat([prefix, real], 1),
        positions=positions[:, None].expand(-1, len(ids), -1),
        types=torch.full_like(padded, adapter.masks.text_type),
        visual=[],
        cache=cache,
    )
    return [row[: len(own)] for row, own in zip(states, ids, strict=True)]


def _types(adapter: DecoderAdapter, batch: PackedTokens) -> Tensor:
    parts = [adapter.masks.types(r, sum(len(b.ids) for b in r.branches)) for r in batch.records]
    return torch.cat(parts).to(batch.ids.device)
