"""What the head is trained on: labels from a target's seconds, and losses slot by slot.

A slot's loss is what upstream computes for a batch of that slot alone, so that it does not depend
on what else is in the batch or how that is padded.

Shapes: N slots, Lv clips, S spans of the target with most.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_core.records.schema import TemporalTarget
from tpo_heads.temporal.objective import membership, saliency_labels, target_spans
from tpo_heads.temporal.timeline import Timeline
from tpo_heads.temporal_cgdetr import losses
from tpo_heads.temporal_cgdetr.criterion import SetTargets
from tpo_heads.temporal_cgdetr.matcher import match
from tpo_heads.temporal_cgdetr.outputs import CGDETROutputs, MomentOutputs
from tpo_heads.temporal_cgdetr.spans import to_centres

_HIGHEST_RANK = 12
_SURE = 1e-6  # attention of exactly 0 or 1 makes cross-entropy's gradient one of rounding errors


def set_targets(targets: Sequence[TemporalTarget], timeline: Timeline) -> SetTargets:
    """Label the clips of N slots.

    A clip belongs to the moments if they cover half of it, or if no other clip is covered more by
    one of them. Its saliency rank is 12 times the mean score given inside it, rounded; where none
    is given it is 1 in the moments and 0 elsewhere. Every clip of a higher rank must lead every
    clip of a lower one: the mean over all such pairs is what upstream's random pairs estimate.

    Args:
        targets: N labels in seconds.
        timeline: Of the clips.
    """
    spans, real = target_spans(targets, timeline)
    start, end = spans.unbind(-1)
    # What lies past the last clip is trained as that clip, see `Timeline.to_groups`.
    start = torch.where(start >= timeline.lengths[:, None], end - 1, start).clamp(min=0)
    inside = _members(start, end, real, clips=timeline.times.shape[1]) & timeline.valid
    scores, known = saliency_labels(targets, timeline, membership(timeline, spans, real))
    given = torch.tensor([target.saliency is not None for target in targets])
    graded = given.to(known.device)[:, None] & known
    ranks = torch.where(graded, (_HIGHEST_RANK * scores).round(), inside.float())
    valid = timeline.valid
    pairs = (ranks[:, :, None] > ranks[:, None]) & valid[:, :, None] & valid[:, None]
    lengths = timeline.lengths[:, None, None]
    return SetTargets(
        spans=to_centres(torch.stack([start, end], dim=-1) / lengths),
        real=real,
        labels=ranks * valid,
        pairs=pairs.float(),
    )


def _members(start: Tensor, end: Tensor, real: Tensor, *, clips: int) -> Tensor:
    """Return `[N, Lv]` bool, the clips that spans (`[N, S]` ends on the clip axis) hold."""
    steps = torch.arange(clips, device=end.device)
    covered = torch.minimum(end[..., None], steps + 1) - torch.maximum(start[..., None], steps)
    most = covered >= covered.amax(-1, keepdim=True)
    return (((covered >= 0.5) | most) & real[..., None]).any(1)


def slot_losses(
    outputs: CGDETROutputs, moments: MomentOutputs, targets: SetTargets, *, prompts: Tensor
) -> dict[str, Tensor]:
    """Return the sum of each term: span and gIoU over matched pairs, the others over N slots.

    Terms of the set prediction are added up over decoder layers. There are no negatives from other
    videos, as in upstream's batch of one.

    Args:
        outputs: Of the model.
        moments: Of the model, for `targets.relevant`.
        targets: Labels.
        prompts: `[P, d]`, the model's global tokens.
    """
    span, giou, label = [], [], []
    for prediction in outputs.predictions:
        matching = match(prediction, targets.spans, targets.real)
        span_loss, giou_loss = losses.span_losses(prediction, targets.spans, matching)
        span.append(span_loss.sum())
        giou.append(giou_loss.sum())
        label.append(losses.label_loss(prediction, matching).sum())
    inputs, labels, pairs = outputs.inputs, targets.labels, targets.pairs
    valid = inputs.video_valid
    saliency = (
        losses.saliency_loss(outputs.saliency, labels, pairs, valid)
        + losses.saliency_loss(outputs.relevance, labels, pairs, valid)
        + losses.relevance_loss(outputs.relevance.clamp(_SURE, 1 - _SURE), labels, valid)
    )
    distance = losses.distill_loss(outputs.attention, moments.similarity, inputs.text_valid)
    relevant = targets.relevant
    distill = (distance * relevant).sum(1) / relevant.sum(1).clamp(min=1)
    return {
        "span": torch.stack(span).sum(),
        "giou": torch.stack(giou).sum(),
        "label": torch.stack(label).sum(),
        "saliency": saliency.sum(),
        "ms_align": _alignment(moments, labels, valid).sum(),
        "distill": distill.sum(),
        "orthogonal_dummy": losses.dummy_loss(inputs.dummies.float(), prompts.float()).sum(),
    }


def _alignment(moments: MomentOutputs, labels: Tensor, valid: Tensor) -> Tensor:
    """Return `[N]`: sentence to moment, dummies to the rest, clips to their moment."""
    total = losses.member_loss(moments, labels, valid, valid)
    for token, label in ((moments.sentence, 0), (moments.dummy_sentence, 1)):
        alike = [
            F.cosine_similarity(token, part, dim=-1) for part in (moments.moment, moments.rest)
        ]
        wanted = torch.full_like(labels[:, 0], label).long()
        total = total + F.cross_entropy(torch.stack(alike, dim=-1), wanted, reduction="none")
    return total
