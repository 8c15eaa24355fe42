"""From normalised spans to ranked moments in seconds, as upstream's app does; no NMS.

Shapes: N slots, Q queries.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tpo_heads.temporal.spans import span_iou
from tpo_heads.temporal_cgdetr.spans import to_ends

_SAME = 0.5  # IoU above which two ranked spans are taken for one moment


def to_windows(spans: Tensor, probability: Tensor, duration: Tensor) -> Tensor:
    """Return `[N, Q, 3]`: start and end in seconds, clamped to the video, and probability.

    Args:
        spans: `[N, Q, 2]` (centre, width) in [0, 1].
        probability: `[N, Q]` of being a moment.
        duration: `[N]` seconds that 1 stands for.
    """
    whole = duration[:, None, None]
    ends = torch.minimum((to_ends(spans) * whole).clamp(min=0), whole)
    return torch.cat([ends, probability[..., None]], dim=-1)


def rank_windows(windows: Tensor) -> Tensor:
    """Sort `[N, Q, 3]` windows by probability, best first."""
    order = windows[..., 2].argsort(dim=1, descending=True, stable=True)
    return windows.gather(1, order[..., None].expand_as(windows))


def round_to_clips(windows: Tensor, clip_length: Tensor) -> Tensor:
    """Round starts and ends of `[N, Q, 3]` windows to whole clips, halves to the even one.

    From seconds of four decimals, as upstream writes them down before it rounds.

    Args:
        windows: Seconds and probability.
        clip_length: `[N]` seconds.
    """
    step = clip_length[:, None, None]
    ends = (windows[..., :2].round(decimals=4) / step).round() * step
    return torch.cat([ends, windows[..., 2:]], dim=-1)


def count_moments(windows: Tensor, threshold: float) -> Tensor:
    """Return `[N]` long, how many of the ranked windows to take for moments of the answer.

    The best one, and those after it until one is less probable than `threshold` or all but repeats
    a better one.
    """
    ends = windows[..., :2]
    repeats = (span_iou(ends[:, :, None], ends[:, None]) > _SAME).tril(-1).any(-1)
    taken = (windows[..., 2] >= threshold) & ~repeats
    taken[:, 0] = True
    return taken.long().cumprod(1).sum(1)
