"""Looking for what the state asks about in every frame: attention over space, frame by frame.

Shapes: N slots, M media, T groups, n tokens of a frame, H heads, C width of the head.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LAGS = (1, 2)


def fourier(position: Tensor, bands: int) -> Tensor:
    """Return sines and cosines of `bands` whole periods of a position in [0, 1].

    Args:
        position: `[...]` float.
        bands: Frequencies 1 .. bands.

    Returns:
        `[..., 2 * bands]`.
    """
    angles = position[..., None] * torch.arange(1, bands + 1, device=position.device) * 2 * math.pi
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class StateLookup(nn.Module):
    """Reads, for each slot and frame, whether the asked object is there, where, and what it is.

    Cosine attention of the state over the frame's tokens, with a learned *absent* bin that takes
    the weight where nothing matches. Beside the attended content it gives the attended position,
    how well anything matched, and how far the attention moved between neighbouring frames, which is
    what "appears", "vanishes" and "moves" look like.

    Args:
        hidden_size: D of states and tokens.
        width: C.
        heads: H, divides C.
        position_bands: Frequencies of the code of a token's place in the raster; enough to tell
            columns of a square grid of up to `position_bands` rows.
    """

    def __init__(
        self, hidden_size: int, *, width: int, heads: int, position_bands: int = 32
    ) -> None:
        super().__init__()
        self.heads, self.position_bands = heads, position_bands
        self.query = nn.Linear(hidden_size, width)
        self.key = nn.Linear(hidden_size, width)
        self.value = nn.Linear(hidden_size, width)
        self.position = nn.Linear(2 * position_bands, width)
        self.scale = nn.Parameter(torch.full((heads,), math.log(10.0)))
        self.absent = nn.Parameter(torch.zeros(heads))
        self.merge = nn.Linear(2 * width + (2 + 2 * len(_LAGS)) * heads, width)

    def forward(
        self,
        states: Tensor,
        tokens: Tensor,
        token_valid: Tensor,
        media_index: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Look up N states in the frames of their media.

        Args:
            states: `[N, D]`.
            tokens: `[M, T, n, D]`.
            token_valid: `[M, n]` bool.
            media_index: `[N]` long.
            valid: `[N, T]` bool, False at padded groups.

        Returns:
            `[N, T, C]`.
        """
        states = F.layer_norm(states, states.shape[-1:])
        tokens = F.layer_norm(tokens, tokens.shape[-1:])
        query = F.normalize(self.query(states).unflatten(-1, (self.heads, -1)), dim=-1)
        key = F.normalize(self.key(tokens).unflatten(-1, (self.heads, -1)), dim=-1)
        value = self.value(tokens).unflatten(-1, (self.heads, -1))

        match = torch.einsum("nhc,ntkhc->nthk", query, key.index_select(0, media_index))
        match = match * self.scale.exp()[:, None]
        real = token_valid[media_index][:, None, None, :]
        match = match.masked_fill(~real, torch.finfo(match.dtype).min)
        absent = (self.absent * self.scale.exp())[:, None].expand(*match.shape[:-1], 1)
        weights = torch.cat([match, absent], dim=-1).softmax(-1)[..., :-1]

        content = torch.einsum(
            "nthk,ntkhc->nthc", weights, value.index_select(0, media_index)
        ).flatten(2)
        place = torch.einsum("nthk,nkhc->nthc", weights, self._places(token_valid)[media_index])
        moves = [cue for lag in _LAGS for cue in _moved(weights, valid, lag=lag)]
        present = weights.sum(-1)
        best = match.amax(-1)
        cues = torch.cat([content, place.flatten(2), present, best, *moves], dim=-1)
        merged: Tensor = self.merge(cues)
        return merged

    def _places(self, token_valid: Tensor) -> Tensor:
        """Return `[M, n, H, C / H]` codes of where a token stands in its frame's raster."""
        count = token_valid.sum(-1, keepdim=True)
        steps = torch.arange(token_valid.shape[1], device=token_valid.device)
        code = fourier((steps + 0.5) / count, self.position_bands).to(self.scale.dtype)
        places: Tensor = self.position(code).unflatten(-1, (self.heads, -1))
        return places


def _moved(weights: Tensor, valid: Tensor, *, lag: int) -> tuple[Tensor, Tensor]:
    """Return how far attention moved since `lag` frames before, and moves until `lag` after.

    The Hellinger distance, in [0, 1] and about linear in a small displacement. Where a video has no
    such frame it is 0: nothing moved.

    Args:
        weights: `[N, T, H, n]`.
        valid: `[N, T]` bool.
        lag: Frames between the two.

    Returns:
        `[N, T, H]` twice.
    """
    root = (weights + 1e-6).sqrt()
    overlap = (root[:, lag:] * root[:, :-lag]).sum(-1)
    total = root.square().sum(-1)
    apart = ((total[:, lag:] + total[:, :-lag]) / 2 - overlap).clamp(min=0)
    apart = (apart + 1e-4).sqrt().masked_fill(~valid[:, lag:, None], 0.0)
    end = torch.zeros_like(total[:, :lag])
    return torch.cat([end, apart], dim=1), torch.cat([apart, end], dim=1)
