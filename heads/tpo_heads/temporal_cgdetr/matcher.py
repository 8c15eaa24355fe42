"""Which query answers for which moment: minimum-cost bipartite matching, as in DETR.

Shapes: B samples, Q queries, S spans of the sample with most, M matched pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tpo_heads.temporal_cgdetr.outputs import Prediction
from tpo_heads.temporal_cgdetr.spans import span_giou, to_ends

_CLASS_COST, _SPAN_COST, _GIOU_COST = 4.0, 10.0, 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matching:
    """M pairs of a query and a span, sample by sample, queries in order.

    Args:
        samples: `[M]` long.
        queries: `[M]` long.
        spans: `[M]` long.
    """

    samples: Tensor
    queries: Tensor
    spans: Tensor


@torch.no_grad()
def match(prediction: Prediction, spans: Tensor, real: Tensor) -> Matching:
    """Match min(Q, spans) queries of each sample at least cost.

    The cost is 10 L1 of (centre, width) - gIoU - 4 probability of foreground.

    Args:
        prediction: Of B samples.
        spans: `[B, S, 2]` (centre, width) in [0, 1].
        real: `[B, S]` bool, True first; False at padding.
    """
    predicted, target = prediction.spans[:, :, None], spans[:, None]
    cost = (
        _SPAN_COST * (predicted - target).abs().sum(-1)
        - _GIOU_COST * span_giou(to_ends(predicted), to_ends(target))
        - _CLASS_COST * prediction.logits.softmax(-1)[..., :1]
    )
    # A diverged model's loss is for the trainer to report, not for scipy to die of.
    table = cost.nan_to_num(nan=1e6).cpu().numpy()
    counts = real.sum(1).tolist()
    found: list[np.ndarray] = []
    for sample, (costs, count) in enumerate(zip(table, counts, strict=True)):
        queries, chosen = linear_sum_assignment(costs[:, :count])
        found.append(np.stack([np.full_like(queries, sample), queries, chosen]))
    pairs = torch.from_numpy(np.concatenate(found, axis=1)).long().to(spans.device)
    return Matching(samples=pairs[0], queries=pairs[1], spans=pairs[2])
