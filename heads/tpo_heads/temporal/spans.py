"""Arithmetic of 1-D spans, `[..., 2]` (start, end) in any one unit."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def span_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of spans with start <= end; broadcasts."""
    overlap = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - overlap
    return overlap / union.clamp(min=1e-6)


def diou_loss(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 - DIoU (Zheng et al., 2020) of spans; as IoU, less the squared centre distance."""
    hull = torch.maximum(a[..., 1], b[..., 1]) - torch.minimum(a[..., 0], b[..., 0])
    apart = (a.sum(-1) - b.sum(-1)) / 2
    return 1 - span_iou(a, b) + (apart / hull.clamp(min=1e-6)) ** 2


def expected_iou(inside: Tensor) -> Tensor:
    """Estimate the IoU of every span of whole groups with the moment it belongs to.

    Where each group lies in the moment with a probability of its own, a span holds on average the
    sum of the probabilities in it, and the moment goes on beyond either end for as long as no group
    is missed: p1 + p1 p2 + p1 p2 p3 + ... groups. The estimate is the mean overlap over the mean
    union. It groups frames as temporal actionness grouping does (Zhao et al., ICCV 2017), without
    its thresholds.

    Args:
        inside: `[N, T]` in [0, 1], 0 at padding.

    Returns:
        `[N, T, T]` in [0, 1]: entry (a, b) is of the span [a, b + 1]; 0 where b < a.
    """
    before, after = _goes_on(inside), _goes_on(inside.flip(1)).flip(1)
    total = F.pad(inside.cumsum(1), (1, 0))
    held = total[:, None, 1:] - total[:, :-1, None]
    steps = torch.arange(inside.shape[1], device=inside.device)
    length = (steps + 1)[None, :] - steps[:, None]
    union = length + before[:, :, None] + after[:, None, :]
    return torch.where(length > 0, held / union, 0.0).clamp(0, 1)


def _goes_on(inside: Tensor) -> Tensor:
    """Return `[N, T]`, how many groups on average an unbroken run has just before each group."""
    runs = [torch.zeros_like(inside[:, 0])]
    for group in inside.unbind(1)[:-1]:
        runs.append(group * (1 + runs[-1]))
    return torch.stack(runs, 1)


def soft_nms(spans: Tensor, scores: Tensor, *, keep: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Rank spans, decaying those that overlap better ones (Bodla et al., 2017), N slots at once.

    Args:
        spans: `[N, P, 2]`.
        scores: `[N, P]` in [0, 1]; 0 for candidates to leave out.
        keep: K, how many to return, at most P.
        sigma: Width of the Gaussian decay exp(-IoU^2 / sigma).

    Returns:
        `[N, K, 2]` spans and their `[N, K]` decayed scores, best first.
    """
    rows = torch.arange(len(spans), device=spans.device)
    kept: list[Tensor] = []
    kept_scores: list[Tensor] = []
    left = scores.clone()
    for _ in range(keep):
        score, index = left.max(dim=1)
        best = spans[rows, index]
        kept.append(best)
        kept_scores.append(score.clamp(min=0))
        left = left * torch.exp(-(span_iou(best[:, None], spans) ** 2) / sigma)
        left = left.scatter(1, index[:, None], -1.0)
    return torch.stack(kept, 1), torch.stack(kept_scores, 1)
