"""Loss accounting: every term is a sum over items, divided by the global number of its items.

A term's mean is taken over all ranks and all micro-batches of an optimizer step, so its gradient
does not depend on how the batch was split. Terms are named `lm` and `<task>/<term>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

LossWeights = Mapping[str, float]


def add_counts(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add item counts term by term."""
    total: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0.0) + count
    return total


def reduce_counts(counts: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Add counts over all ranks; without a process group, return those of `names` unchanged.

    Args:
        counts: This rank's counts.
        names: Every term any rank may have, in an order all ranks share.
    """
    order = sorted(names)
    totals = torch.tensor([counts.get(name, 0.0) for name in order], dtype=torch.float64)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        if torch.distributed.get_backend() == "nccl":
            totals = totals.cuda()
        torch.distributed.all_reduce(totals)
    return dict(zip(order, totals.tolist(), strict=True))


def weighted_total(
    sums: Mapping[str, Tensor], counts: Mapping[str, float], weights: LossWeights
) -> Tensor:
    """Return `sum_t weight_t * sum_t / count_t`, the part of the loss that these sums make up.

    Args:
        sums: Scalar sums of this micro-batch on this rank.
        counts: Global item counts of the step.
        weights: By term; missing terms weigh 1.
    """
    parts = [
        total * (weights.get(name, 1.0) / counts[name])
        for name, total in sums.items()
        if counts.get(name)
    ]
    return torch.stack([part.float() for part in parts]).sum() if parts else torch.zeros(())


@dataclass(slots=True)
class TermLog:
    """Adds up sums and counts between two log lines."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, sums: Mapping[str, Tensor], counts: Mapping[str, float]) -> None:
        """Add one micro-batch."""
        for name, total in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(total.detach())
            self.counts[name] = self.counts.get(name, 0.0) + counts[name]
