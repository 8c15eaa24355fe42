"""Upstream's criterion over a batch, term by term; the head's own accounting is in `objective`.

It couples the samples of a batch: spans are averaged over all matched pairs, sentences contrasted
with each other's moments, videos asked about with their neighbour's text. Padded clips and words
count where upstream counts them.

Shapes: B samples, Lv clips, S spans of the sample with most, R real negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_heads.temporal_cgdetr import losses
from tpo_heads.temporal_cgdetr.matcher import match
from tpo_heads.temporal_cgdetr.outputs import CGDETROutputs, MomentOutputs, Negatives, Prediction


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SetTargets:
    """Labels of B samples.

    Args:
        spans: `[B, S, 2]` (centre, width) in [0, 1] of the clips.
        real: `[B, S]` bool, False at padding.
        labels: `[B, Lv]` saliency ranks, 0 to 12; above 0 is relevant.
        pairs: `[B, Lv, Lv]`, how often clip i must lead clip j.
    """

    spans: Tensor
    real: Tensor
    labels: Tensor
    pairs: Tensor

    @property
    def relevant(self) -> Tensor:
        """`[B, Lv]` bool."""
        return self.labels > 0


def set_criterion(
    outputs: CGDETROutputs,
    moments: MomentOutputs,
    targets: SetTargets,
    *,
    prompts: Tensor,
    negatives: Negatives | None = None,
) -> dict[str, Tensor]:
    """Return upstream's terms under its names; `_0`, `_1`, ... are decoder layers before the last.

    Args:
        outputs: Of the model.
        moments: Of the model, for `targets.relevant`.
        targets: Labels.
        prompts: `[P, d]`, the model's global tokens.
        negatives: Of the model, if wanted.
    """
    *earlier, last = outputs.predictions
    relevant = targets.relevant
    every = torch.ones_like(outputs.inputs.text_valid)
    distance = losses.distill_loss(outputs.attention, moments.similarity, every)
    terms = _set_losses(last, targets) | {
        "loss_saliency": _saliency(outputs, targets, negatives),
        "loss_ms_align": _alignment(outputs, moments, targets),
        "loss_distill": (distance * relevant).sum() / relevant.sum().clamp(min=1),
        "loss_orthogonal_dummy": losses.dummy_loss(
            outputs.inputs.dummies.float(), prompts.float()
        ).mean(),
    }
    for number, prediction in enumerate(earlier):
        found = _set_losses(prediction, targets)
        terms |= {f"{name}_{number}": value for name, value in found.items()}
    return terms


def weighted_total(terms: Mapping[str, Tensor]) -> Tensor:
    """Add up the terms with upstream's weights, earlier layers with those of the last.

    Multiply by `losses.TOTAL_WEIGHT` for what is added to the LLM's loss.
    """
    total = torch.zeros(())
    for name, value in terms.items():
        kind = name.removeprefix("loss_").rstrip("_0123456789")
        if kind in losses.WEIGHTS:
            total = total.to(value.device) + losses.WEIGHTS[kind] * value
    return total


def _set_losses(prediction: Prediction, targets: SetTargets) -> dict[str, Tensor]:
    matching = match(prediction, targets.spans, targets.real)
    span, giou = losses.span_losses(prediction, targets.spans, matching)
    right = prediction.logits[matching.samples, matching.queries].argmax(-1) == 0
    return {
        "loss_span": span.mean(),
        "loss_giou": giou.mean(),
        "loss_label": losses.label_loss(prediction, matching).mean(),
        "class_error": 100 * (1 - right.float().mean()),
    }


def _saliency(outputs: CGDETROutputs, targets: SetTargets, negatives: Negatives | None) -> Tensor:
    valid, labels, pairs = outputs.inputs.video_valid, targets.labels, targets.pairs
    scores, relevance = outputs.saliency, outputs.relevance
    entropy = losses.relevance_loss(relevance, labels, torch.ones_like(valid)).mean()
    if negatives is None:
        by_score = losses.saliency_loss(scores, labels, pairs, valid).mean()
        return by_score + (entropy + losses.saliency_loss(relevance, labels, pairs, valid).mean())
    real = negatives.real
    # Not a softplus: upstream's rounding is part of the value at large scores.
    unlikely = 1 - negatives.saliency.sigmoid()
    by_score = losses.margin_loss(scores, pairs).mean() + (
        _contrast(scores[real], negatives.saliency, unlikely, labels[real], valid[real])
        + _false_negatives(scores[~real], labels[~real], valid[~real])
    )
    unlikely = 1 - negatives.relevance
    by_relevance = losses.margin_loss(relevance, pairs).mean() + _contrast(
        relevance[real], negatives.relevance, unlikely, labels[real], valid[real]
    )
    return by_score + (entropy + by_relevance)


def _contrast(
    positive: Tensor, negative: Tensor, unlikely: Tensor, labels: Tensor, valid: Tensor
) -> Tensor:
    """Contrast R videos' relevant clips with all their clips, asked about with either text.

    Args:
        positive: `[R, Lv]`, scored with the video's own text.
        negative: `[R, Lv]`, with another video's.
        unlikely: `[R, Lv]`, probability that a clip is not relevant to the latter.
        labels: `[R, Lv]`, ranks.
        valid: `[R, Lv]` bool.
    """
    ranks = losses.rank_contrastive(
        torch.cat([positive, negative], dim=1),
        torch.cat([labels, torch.zeros_like(labels)], dim=1),
        torch.cat([valid, valid], dim=1),
    )
    return ranks.mean() - (unlikely.log() * valid).sum(1).mean()


def _false_negatives(scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Return the rank loss of samples whose neighbour asks about the same video.

    Upstream computes it for attention too, but adds it to a sum it no longer reads. It gives a lone
    sample one dimension more, so that each clip is contrasted with itself alone: the value is about
    1e-6, without a gradient.
    """
    if not len(scores):
        return scores.new_zeros(())
    if len(scores) == 1:
        scores, labels, valid = scores[None], labels[None], valid[None]
    return losses.rank_contrastive(scores, labels, valid).mean()


def _alignment(outputs: CGDETROutputs, moments: MomentOutputs, targets: SetTargets) -> Tensor:
    """Match each sentence with its moment, dummies with anything else, clips with their moment."""
    moment, rest = F.normalize(moments.moment, dim=1), F.normalize(moments.rest, dim=1)
    total = moment.new_zeros(())
    own = torch.arange(len(moment), device=moment.device)
    # Upstream's label for dummies is the first that is not one's own moment: the second column for
    # the first sample, the first for all others.
    other = (own == 0).long()
    for token, label in ((moments.sentence, own), (moments.dummy_sentence, other)):
        likeness = torch.cat([moment, rest]) @ F.normalize(token, dim=1).T
        above, below = likeness.chunk(2)
        total = total + F.cross_entropy(torch.cat([above, below], dim=1), label)
    valid = outputs.inputs.video_valid
    member = losses.member_loss(moments, targets.labels, valid, torch.ones_like(valid))
    return total + member.mean()
