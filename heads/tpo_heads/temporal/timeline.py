"""Frame features of several media items on one padded time axis, and that axis in seconds.

Spans are regressed on the *group axis*: group k of a video covers [k, k + 1), whatever its length
in seconds, so that what a head learns holds for any sampling rate and duration.

Shapes: M media, N slots, T groups of the longest video, n tokens of the largest frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.media.types import FrameFeatures


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timeline:
    """Where each group of each video lies in time.

    Args:
        edges: `[N, T + 1]` float32 seconds; group k covers `[edges[k], edges[k + 1]]`; the edges of
            padded groups all lie at the end of the video.
        times: `[N, T]` float32 seconds, centres of the groups.
        lengths: `[N]` long, groups that are not padding.
    """

    edges: Tensor
    times: Tensor
    lengths: Tensor

    @property
    def valid(self) -> Tensor:
        """`[N, T]` bool, False at padding."""
        steps = torch.arange(self.times.shape[1], device=self.times.device)
        return steps < self.lengths[:, None]

    def take(self, rows: Tensor) -> Timeline:
        """Return the timeline of the media items `rows`, one per slot."""
        return Timeline(edges=self.edges[rows], times=self.times[rows], lengths=self.lengths[rows])

    def to_groups(self, seconds: Tensor) -> Tensor:
        """Map `[N, S]` seconds to the group axis, clamped to the video."""
        seconds = seconds.contiguous()
        last = (self.lengths - 1)[:, None]
        group = torch.searchsorted(self.edges[:, 1:].contiguous(), seconds, right=True)
        group = torch.minimum(group, last)
        start, end = self.edges.gather(1, group), self.edges.gather(1, group + 1)
        return group + ((seconds - start) / (end - start).clamp(min=1e-6)).clamp(0, 1)

    def to_seconds(self, position: Tensor) -> Tensor:
        """Map `[N, S]` positions on the group axis to seconds, clamped to the video."""
        position = torch.minimum(position.clamp(min=0), self.lengths[:, None])
        group = torch.minimum(position.long().clamp(min=0), (self.lengths - 1)[:, None])
        start, end = self.edges.gather(1, group), self.edges.gather(1, group + 1)
        return start + (position - group) * (end - start)


def timeline_of(features: Sequence[FrameFeatures], *, device: torch.device) -> Timeline:
    """Lay M videos on a padded axis.

    Borders between groups lie midway between their centres; the first group starts at 0, the last
    ends with the video.
    """
    steps = max(item.times.shape[0] for item in features)
    edges, times = [], []
    for item in features:
        centres = item.times.to(device=device, dtype=torch.float32, non_blocking=True)
        end = torch.clamp(centres[-1:], min=float(item.duration))
        borders = torch.cat([torch.zeros_like(end), (centres[1:] + centres[:-1]) / 2, end])
        pad = (0, steps - centres.shape[0])
        edges.append(F.pad(borders[None], pad, mode="replicate")[0])
        times.append(F.pad(centres[None], pad, mode="replicate")[0])
    lengths = torch.tensor([item.times.shape[0] for item in features])
    return Timeline(edges=torch.stack(edges), times=torch.stack(times), lengths=lengths.to(device))


def pad_tokens(features: Sequence[FrameFeatures], *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Stack the tokens of M videos.

    Args:
        features: At least one; each with at least one group and one token.
        like: Gives device and dtype.

    Returns:
        `[M, T, n, D]` tokens, zero where padded, and `[M, n]` bool, False at padded tokens.

    Raises:
        InputError: If a video has no group or no token.
    """
    for item in features:
        if item.features.ndim != 3 or 0 in item.features.shape:
            raise InputError(
                f"frame features have shape {list(item.features.shape)}; expected [T, n, D] with "
                "at least one group of one token"
            )
    steps = max(item.features.shape[0] for item in features)
    width = max(item.features.shape[1] for item in features)
    tokens = torch.stack(
        [
            F.pad(
                item.features.to(device=like.device, dtype=like.dtype),
                (0, 0, 0, width - item.features.shape[1], 0, steps - item.features.shape[0]),
            )
            for item in features
        ]
    )
    counts = torch.tensor([item.features.shape[1] for item in features], device=like.device)
    return tokens, torch.arange(width, device=like.device) < counts[:, None]
