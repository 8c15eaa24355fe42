"""Losses on N masks, each summed over objects (the engine divides by their global number)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def mask_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, a mean over the pixels of each mask, summed over objects.

    Args:
        logits: `[N, H, W]`.
        masks: The true masks, `[N, H, W]` in [0, 1].
    """
    pixels = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return pixels.flatten(1).mean(1).sum()


def mask_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Dice loss `1 - (2 |p m| + 1) / (|p| + |m| + 1)` (V-Net, smoothed by 1), summed over objects.

    Args:
        logits: `[N, H, W]`.
        masks: The true masks, `[N, H, W]` in [0, 1].
    """
    probability, truth = logits.sigmoid().flatten(1), masks.flatten(1)
    overlap = (probability * truth).sum(1)
    return (1 - (2 * overlap + 1) / (probability.sum(1) + truth.sum(1) + 1)).sum()


def mean_l1(predicted: Tensor, expected: Tensor) -> Tensor:
    """Absolute difference, a mean over each object's values, summed over objects."""
    return (predicted - expected).abs().flatten(1).mean(1).sum()


def presence_bce(logits: Tensor) -> Tensor:
    """Cross-entropy of "the object is in the frame", true for every one, summed over objects."""
    return functional.softplus(-logits).sum()
