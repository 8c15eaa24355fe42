"""Tensors of the released VideoChat-TPO as a saved model of ours holds them.

Shapes: O and I outputs and inputs of a linear layer, R rank of LoRA, V vocabulary, D hidden size,
t trained task tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpo_core.tokens import MASK, REGION, TEMPORAL
from tpo_plugins.convert.job import Job
from tpo_plugins.convert.names import BASE

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING = "lm.model.embed_tokens.weight"
"""What the backbone calls its input embedding."""

TRAINED = tuple(text for token in (REGION, TEMPORAL, MASK) for text in (token.trigger, token.slot))
"""Texts of the task tokens whose input rows train."""


def backbone_tensor(job: Job, backbone: Mapping[str, str], name: str) -> Tensor:
    """Return a tensor of the backbone; LoRA and the slots' rows are merged in if asked for.

    Args:
        job: The conversion.
        backbone: Released names of the backbone's tensors by our own.
        name: Our own name.
    """
    import torch

    published = backbone[name]
    value = job.source.read(published)
    if not value.is_floating_point():
        return value
    kind = getattr(torch, job.dtype) if job.dtype else value.dtype
    if job.merge and f"{BASE}." in published:
        value = _with_lora(job, published, value)
    if job.merge and name == EMBEDDING:
        value = _with_slots(job, value)
    return value.to(kind)


def _with_lora(job: Job, published: str, weight: Tensor) -> Tensor:
    """Return W `[O, I]` + alpha / R * B `[O, R]` A `[R, I]`, in float32."""
    layer, lora = published.removesuffix(f"{BASE}.weight"), job.sizes.lora
    down, up = (
        job.source.read(f"{layer}.lora_{half}.default.weight").float() for half in ("A", "B")
    )
    merged: Tensor = weight.float() + lora.alpha / lora.rank * (up @ down)
    return merged


def _with_slots(job: Job, table: Tensor) -> Tensor:
    """Return the embedding `[V, D]` with the slots' learnt inputs in their rows."""
    table = table.clone()
    for text, slot in job.part("token").items():
        table[job.tokens[text]] = job.source.read(slot).flatten().to(table.dtype)
    return table


def token_rows(job: Job) -> tuple[Tensor, list[int]]:
    """Return the input rows of the trained task tokens, `[t, D]`, and their ids, ascending.

    The release has learnt inputs of the slots; its triggers have the embedding's rows.
    """
    import torch

    slots = job.part("token")
    table = job.source.read(job.part("backbone")[EMBEDDING])
    texts = sorted(TRAINED, key=lambda text: job.tokens[text])
    rows = [
        job.source.read(slots[text]).flatten() if text in slots else table[job.tokens[text]]
        for text in texts
    ]
    return torch.stack(rows), [job.tokens[text] for text in texts]
