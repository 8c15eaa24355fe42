"""What the temporal head is trained on: point labels, span offsets, membership and saliency.

Shapes: N slots, P points of all levels, S spans of the target with most, T groups. Spans are on the
group axis, see `timeline`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_core.records.schema import TemporalTarget
from tpo_heads.temporal.spans import diou_loss, span_iou
from tpo_heads.temporal.timeline import Timeline


def target_spans(targets: Sequence[TemporalTarget], timeline: Timeline) -> tuple[Tensor, Tensor]:
    """Return `[N, S, 2]` spans on the group axis and `[N, S]` bool, False at padding."""
    most = max(len(target.spans) for target in targets)
    seconds = torch.tensor(
        [[*target.spans, *[(0.0, 0.0)] * (most - len(target.spans))] for target in targets]
    ).to(timeline.edges.device)
    counts = torch.tensor([len(target.spans) for target in targets]).to(seconds.device)
    spans = timeline.to_groups(seconds.flatten(1)).view_as(seconds)
    return spans, torch.arange(most, device=seconds.device) < counts[:, None]


def assign(points: Tensor, valid: Tensor, spans: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Give every point inside a span that span; a span between two points takes the nearest.

    Args:
        points: `[P]` centres on the group axis, the first level first.
        valid: `[N, P]` bool.
        spans: `[N, S, 2]`.
        real: `[N, S]` bool.

    Returns:
        `[N, P]` bool, which points are positive (at least one a slot), and `[N, P, 2]`, the
        shortest span that holds each (arbitrary where not positive).
    """
    start, end = spans[:, None, :, 0], spans[:, None, :, 1]
    position = points[None, :, None]
    inside = (position >= start) & (position <= end)
    off = (position - (start + end) / 2).abs().masked_fill(~valid[..., None], torch.inf)
    nearest = torch.zeros_like(inside).scatter(1, off.argmin(1, keepdim=True), True)
    holds = (inside | nearest) & valid[..., None] & real[:, None]
    length = (end - start).expand_as(off).masked_fill(~holds, torch.inf)
    chosen = length.argmin(-1, keepdim=True)
    assigned = spans.gather(1, chosen.expand(-1, -1, 2))
    return holds.any(-1), assigned


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Return the quality focal loss (Li et al., 2020) with beta 2, elementwise.

    Args:
        logits: Any shape.
        quality: Same shape, in [0, 1]: IoU of a positive's predicted span, 0 for negatives.
    """
    weight = (quality - logits.sigmoid()) ** 2
    return weight * F.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def label_and_span_loss(
    logits: Tensor, predicted: Tensor, positive: Tensor, target: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `[N]` label, overlap and boundary losses, each a mean over the slot's positives.

    Args:
        logits: `[N, P]`.
        predicted: `[N, P, 2]`.
        positive: `[N, P]` bool.
        target: `[N, P, 2]`, the span of each positive.
        valid: `[N, P]` bool.
    """
    count = positive.sum(1)
    quality = span_iou(predicted.detach(), target) * positive
    label = (quality_focal(logits, quality) * valid).sum(1) / count
    overlap = (diou_loss(predicted, target) * positive).sum(1) / count
    length = (target[..., 1] - target[..., 0]).clamp(min=1)
    off = F.smooth_l1_loss(predicted, target, reduction="none").mean(-1) / length
    return label, overlap, (off * positive).sum(1) / count


def membership(timeline: Timeline, spans: Tensor, real: Tensor) -> Tensor:
    """Return `[N, T]` in [0, 1], how much of each group one of the slot's spans covers."""
    steps = torch.arange(timeline.times.shape[1], device=spans.device)
    lower, upper = spans[..., 0, None], spans[..., 1, None]
    covered = (torch.minimum(upper, steps + 1) - torch.maximum(lower, steps)).clamp(0, 1)
    return (covered * real[..., None]).amax(1)


def mean_entropy(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Return `[N]` cross-entropy, a mean over the groups whose label is known.

    Args:
        logits: `[N, T]`.
        labels: `[N, T]` in [0, 1].
        known: `[N, T]` bool.
    """
    each = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (each * known).sum(1) / known.sum(1).clamp(min=1)


def saliency_labels(
    targets: Sequence[TemporalTarget], timeline: Timeline, inside: Tensor
) -> tuple[Tensor, Tensor]:
    """Return `[N, T]` saliency in [0, 1] and `[N, T]` bool, where it is known.

    A group's label is the mean of the scores given inside it; groups without a score are unknown.
    A target without saliency is labelled by `inside`, see `membership`.
    """
    given = [target.saliency for target in targets]
    most = max(1, *(len(item.times) if item else 0 for item in given))
    table = torch.zeros(3, len(targets), most)
    for row, item in enumerate(given):
        if item:
            table[0, row, : len(item.times)] = torch.tensor(item.times)
            table[1, row, : len(item.times)] = torch.tensor(item.scores)
            table[2, row, : len(item.times)] = 1
    seconds, scores, weight = table.to(inside.device)
    group = torch.minimum(timeline.to_groups(seconds).long(), (timeline.lengths - 1)[:, None])
    empty = torch.zeros_like(inside)
    total = empty.scatter_add(1, group, scores * weight)
    count = empty.scatter_add(1, group, weight)
    has = (count.sum(1, keepdim=True) > 0) & timeline.valid
    labels = torch.where(has, total / count.clamp(min=1), inside)
    return labels, torch.where(has, count > 0, timeline.valid)


def saliency_loss(scores: Tensor, labels: Tensor, known: Tensor, *, margin: float) -> Tensor:
    """Return `[N]`: cross-entropy plus the margin ranking of QVHighlights (Lei et al., 2021).

    Args:
        scores: `[N, T]` logits.
        labels: `[N, T]` in [0, 1].
        known: `[N, T]` bool.
        margin: By how much a more salient group must lead, times the difference of the labels.
    """
    lead = labels[:, :, None] - labels[:, None, :]
    pairs = (lead > 0) & known[:, :, None] & known[:, None, :]
    hinge = (margin * lead - (scores[:, :, None] - scores[:, None, :])).clamp(0) * pairs
    return mean_entropy(scores, labels, known) + hinge.sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
