"""The task token's state as one more word of the question.

Shapes: B samples, Lt words, Dt width of a word.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def insert_prompt(text: Tensor, valid: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
    """Insert a row right after the last valid word, padding behind it, as upstream does.

    Args:
        text: `[B, Lt, Dt]`; Lt may be 0.
        valid: `[B, Lt]` bool, True first.
        prompt: `[B, Dt]`.

    Returns:
        `[B, Lt + 1, Dt]` and `[B, Lt + 1]` bool.
    """
    count = valid.sum(1, keepdim=True)
    place = torch.arange(text.shape[1] + 1, device=text.device)
    before, behind = F.pad(text, (0, 0, 0, 1)), F.pad(text, (0, 0, 1, 0))
    rows = torch.where((place < count)[..., None], before, behind)
    rows = torch.where((place == count)[..., None], prompt[:, None].to(text.dtype), rows)
    return rows, place <= count
