"""CG-DETR's losses sample by sample; how samples are averaged is up to the caller.

Shapes: B samples, Lv clips, K = dummies + words, Q queries, M matched pairs, d width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_heads.temporal_cgdetr.matcher import Matching
from tpo_heads.temporal_cgdetr.outputs import MomentOutputs, Prediction
from tpo_heads.temporal_cgdetr.spans import span_giou, to_ends

# Weights of upstream's terms in the sum, and of that sum beside the LLM's loss.
WEIGHTS = {
    "span": 10.0,
    "giou": 1.0,
    "label": 4.0,
    "saliency": 4.0,
    "ms_align": 1.0,
    "distill": 1.0,
    "orthogonal_dummy": 1.0,
}
TOTAL_WEIGHT = 0.05

_BACKGROUND_WEIGHT = 0.1
_MARGIN = 0.2
_TEMPERATURE = 0.5
_RANKS = 12  # saliency of QVHighlights: three judges' scores of 0 to 4, summed
_PADDED = -1e3


def span_losses(prediction: Prediction, spans: Tensor, matching: Matching) -> tuple[Tensor, Tensor]:
    """Return `[M]` L1 (mean of centre and width) and `[M]` 1 - gIoU of the matched pairs.

    Args:
        prediction: Of B samples.
        spans: `[B, S, 2]` (centre, width) in [0, 1].
        matching: Of the two.
    """
    predicted = prediction.spans[matching.samples, matching.queries]
    target = spans[matching.samples, matching.spans]
    return (predicted - target).abs().mean(-1), 1 - span_giou(to_ends(predicted), to_ends(target))


def label_loss(prediction: Prediction, matching: Matching) -> Tensor:
    """Return `[B]` cross-entropy of matched (0) against other (1) queries, mean over Q."""
    logits = prediction.logits
    labels = torch.ones(logits.shape[:2], dtype=torch.long, device=logits.device)
    labels[matching.samples, matching.queries] = 0
    weight = logits.new_tensor([1.0, _BACKGROUND_WEIGHT])
    return F.cross_entropy(logits.transpose(1, 2), labels, weight, reduction="none").mean(1)


def margin_loss(scores: Tensor, pairs: Tensor) -> Tensor:
    """Return `[B]` twice the mean hinge by which a salient clip fails to lead another.

    Args:
        scores: `[B, Lv]`.
        pairs: `[B, Lv, Lv]`, how often clip i must lead clip j.
    """
    hinge = (_MARGIN + scores[:, None] - scores[:, :, None]).clamp(min=0) * pairs
    return 2 * hinge.sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)


def rank_contrastive(scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Return `[B]` contrast of the clips at or above each rank with all clips.

    Args:
        scores: `[B, Lv]`.
        labels: `[B, Lv]`, ranks 0 to 12.
        valid: `[B, Lv]` bool.
    """
    logits = torch.where(valid, scores, _PADDED) / _TEMPERATURE
    logits = logits - logits.amax(1, keepdim=True)
    log_prob = logits - (logits.exp().sum(1, keepdim=True) + 1e-6).log()
    total = torch.zeros_like(logits[:, 0])
    for rank in range(1, _RANKS):
        positive = labels >= rank
        mean = (log_prob * positive * valid).sum(1) / (positive.sum(1) + 1e-6)
        total = total - mean * positive.any(1)
    return total / _RANKS


def saliency_loss(scores: Tensor, labels: Tensor, pairs: Tensor, valid: Tensor) -> Tensor:
    """Return `[B]` margin and rank loss of saliency scores, or of relevance; see those."""
    return margin_loss(scores, pairs) + rank_contrastive(scores, labels, valid)


def relevance_loss(relevance: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Return `[B]` cross-entropy of the share of attention that words got, mean over clips.

    Args:
        relevance: `[B, Lv]` in [0, 1].
        labels: `[B, Lv]`, ranks; above 0 is relevant.
        counted: `[B, Lv]` bool, clips that enter the mean.
    """
    each = F.binary_cross_entropy(relevance, labels.clamp(0, 1), reduction="none")
    return _mean(each, counted)


def member_loss(moments: MomentOutputs, labels: Tensor, valid: Tensor, counted: Tensor) -> Tensor:
    """Return `[B]` cross-entropy of whether a clip is part of the moment token, mean over clips.

    Args:
        moments: Of B samples.
        labels: `[B, Lv]`, ranks.
        valid: `[B, Lv]` bool, clips that add to the sum.
        counted: `[B, Lv]` bool, clips that it is divided by.
    """
    belongs = (moments.clips @ moments.moment[..., None]).squeeze(-1).sigmoid()
    each = F.binary_cross_entropy(belongs, labels.clamp(0, 1), reduction="none")
    return _mean(each * valid, counted)


def distill_loss(attention: Tensor, similarity: Tensor, columns: Tensor) -> Tensor:
    """Return `[B, Lv]` KL of attention to words from how alike clips and words are in the moment.

    Args:
        attention: `[B, Lv, K]`.
        similarity: `[B, Lv, K]`; no gradient flows into it.
        columns: `[B, K]` bool, words that count.
    """
    columns = columns[:, None]
    target = similarity.detach().masked_fill(~columns, float("-inf")).softmax(-1)
    each = F.kl_div((attention + 1e-6).log(), target, reduction="none")
    return _mean(each, columns.expand_as(each))


def dummy_loss(dummies: Tensor, prompts: Tensor) -> Tensor:
    """Return `[B]` mean cosine between dummies of a sample, plus that between global tokens.

    Args:
        dummies: `[B, D, d]` in context.
        prompts: `[P, d]`.
    """
    return _likeness(dummies) + _likeness(prompts[None])


def _likeness(rows: Tensor) -> Tensor:
    """Return `[B]` mean absolute cosine of rows with the (fixed) others, zeros on the diagonal."""
    unit: Tensor = rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    cosine = unit @ unit.detach().transpose(1, 2)
    others = ~torch.eye(rows.shape[1], dtype=torch.bool, device=rows.device)
    return (cosine * others).abs().mean((1, 2))


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Average over the last dimension where `counted`."""
    return (values * counted).sum(-1) / counted.sum(-1).clamp(min=1)
