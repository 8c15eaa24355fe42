"""The numeric check that chooses how branches share a forward pass.

Two records of two branches each are run packed and separately. Whatever agrees and is fastest is
taken, so no list of families decides, and a model whose layers leak is caught rather than believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from tpo_core.backbone import PackedTokens, RenderedBranch, RenderedRecord, Strategy
from tpo_core.errors import InputError

if TYPE_CHECKING:
    from tpo_backbones.generic.decoder_adapter import DecoderAdapter

# Tokens of prefix and branches; long enough that a leak shows, short enough for a large model.
_LENGTHS = ((24, (9, 17)), (15, (21, 6)))


def choose(adapter: DecoderAdapter) -> tuple[Strategy, str]:
    """Return the first strategy that agrees with separate runs, and why.

    Raises:
        InputError: If none does.
    """
    batch = _probe(adapter)
    tolerance = _tolerance(adapter.dtype)
    reasons = []
    with _undisturbed(adapter):
        expected = _separately(adapter, batch)
        scale = float(expected.abs().max())
        for strategy in get_args(Strategy):
            try:
                states = adapter.run_packed(strategy, batch, [None] * len(batch.records))
                error = float((states.float() - expected).abs().max()) / max(scale, 1.0)
            except Exception as problem:  # any failure of a model's own code rules a strategy out
                reasons.append(f"{strategy} fails ({type(problem).__name__}: {problem})")
                continue
            if error <= tolerance:
                reasons.append(f"{strategy} agrees with separate runs (difference {error:.1e})")
                return strategy, "; ".join(reasons)
            reasons.append(f"{strategy} differs from separate runs by {error:.1e}")
    raise InputError(
        f"{type(adapter.model).__name__} cannot be used: {'; '.join(reasons)}; expected at most "
        f"{tolerance:.0e}"
    )


def _probe(adapter: DecoderAdapter) -> PackedTokens:
    """Return two text records of two branches; ids from a fixed sequence, no random numbers."""
    size = adapter.input_embedding.weight.shape[0]
    reserved = set(adapter.placeholder_ids)
    usable = [token for token in range(min(size, 4096)) if token not in reserved]

    def ids(length: int, offset: int) -> Tensor:
        picks = [usable[(offset + 7 * step) % len(usable)] for step in range(length)]
        return torch.tensor(picks, device=adapter.device)

    records, at = [], 11
    for prefix, lengths in _LENGTHS:
        branches = []
        for length in lengths:
            at += 37
            branch = ids(length, at)
            branches.append(
                RenderedBranch(ids=branch, supervised=torch.zeros(length, dtype=torch.bool))
            )
        # Where token types make an image block bidirectional, the prefix holds one.
        types = torch.full((prefix,), adapter.masks.text_type)
        types[2 : prefix - 2] = 1 - adapter.masks.text_type
        extras = {adapter.masks.type_name: types} if adapter.masks.type_name else {}
        records.append(
            RenderedRecord(prefix_ids=ids(prefix, at), branches=tuple(branches), extras=extras)
        )
    row = torch.cat([t for r in records for t in (r.prefix_ids, *(b.ids for b in r.branches))])
    return PackedTokens(ids=row, records=tuple(records))


def _separately(adapter: DecoderAdapter, batch: PackedTokens) -> Tensor:
    """Run every path alone with the model's own mask and positions; `[L, D]` in packed order."""
    parts = []
    for record in batch.records:
        for number, branch in enumerate(record.branches):
            ids = torch.cat([record.prefix_ids, branch.ids])[None]
            states, _ = adapter.run(
                ids,
                mask=None,
                positions=None,
                types=adapter.masks.types(record, len(branch.ids))[None].to(ids.device),
                visual=[],
            )
            parts.append(states[0] if number == 0 else states[0, len(record.prefix_ids) :])
    return torch.cat(parts).float()


def _tolerance(dtype: torch.dtype) -> float:
    """Return the largest difference, relative to the largest state, that rounding explains."""
    return {torch.float32: 1e-4, torch.float64: 1e-8}.get(dtype, 8 * torch.finfo(dtype).eps)


@contextmanager
def _undisturbed(adapter: DecoderAdapter) -> Iterator[None]:
    """Run without gradients or dropout and leave mode and random state as they were."""
    modes = {module: module.training for module in adapter.model.modules()}
    adapter.model.eval()
    devices = [adapter.device] if adapter.device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module, is_training in modes.items():
            module.training = is_training
