"""The learning-rate schedule of both pretraining steps."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_WARMUP = 0.05
_FLOOR = 0.02


def cosine_schedule(optimizer: Optimizer, *, steps: int) -> LambdaLR:
    """Linear warm-up over a twentieth of the steps, then a cosine down to a fiftieth of the peak.

    Args:
        optimizer: The optimiser; its learning rate is the peak.
        steps: Number of steps.

    Returns:
        The schedule, to be stepped after every optimiser step.
    """
    warmup = max(1, round(_WARMUP * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
