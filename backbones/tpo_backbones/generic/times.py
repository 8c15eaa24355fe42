"""When each group of visual tokens was on screen."""

from __future__ import annotations

import torch
from torch import Tensor

from tpo_core.media.types import Media


def group_times(media: Media, groups: int) -> Tensor:
    """Return the centre of each time group in seconds, `[T]` float32.

    A frame is on screen from its presentation time for one frame of the file; a group's centre is
    the mean over its frames.

    Args:
        media: Gives presentation times of the sampled frames.
        groups: T; each has as many frames as the others, the last one may have fewer.
    """
    per_group = -(-len(media.times) // groups)
    shown = media.duration / max(media.total_frames, 1)
    centres = media.times + shown / 2
    return torch.stack(
        [centres[k * per_group : (k + 1) * per_group].mean() for k in range(groups)]
    ).float()
