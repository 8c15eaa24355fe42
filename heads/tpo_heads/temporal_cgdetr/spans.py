"""Spans as (centre, width) and as (start, end), `[..., 2]` in any one unit."""

from __future__ import annotations

import torch
from torch import Tensor


def to_ends(spans: Tensor) -> Tensor:
    """Turn (centre, width) into (start, end)."""
    centre, width = spans.unbind(-1)
    return torch.stack([centre - 0.5 * width, centre + 0.5 * width], dim=-1)


def to_centres(spans: Tensor) -> Tensor:
    """Turn (start, end) into (centre, width)."""
    start, end = spans.unbind(-1)
    return torch.stack([(start + end) / 2, end - start], dim=-1)


def span_giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU (Rezatofighi et al., 2019) of (start, end) spans; broadcasts."""
    overlap = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - overlap
    hull = torch.maximum(a[..., 1], b[..., 1]) - torch.minimum(a[..., 0], b[..., 0])
    # Two empty spans at one place would divide zero by zero.
    union, hull = union.clamp(min=1e-9), hull.clamp(min=1e-9)
    return overlap / union - (hull - union) / hull
