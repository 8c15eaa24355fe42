"""Packs samples into rows: one media prefix, then every question about it as a branch of its own.

A branch sees the prefix and itself, and its positions go on from the prefix's end, so that a row
gives what separate conversations would give at a fraction of the tokens.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tpo_plugins.tiny.architecture import GRID
from tpo_plugins.tiny.tokenizer import ASSISTANT, END, USER
from tpo_plugins.world.attributes import MediaType

_PADDING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A media item with questions and answers.

    Attributes:
        frames: uint8 [T, 3, H, W].
        media: "image" (T is 1) or "video".
        turns: (question, answer) pairs.
    """

    frames: NDArray[np.uint8]
    media: MediaType
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Rows as tensors; B rows of L tokens.

    Attributes:
        input_ids: int64 [B, L].
        position_ids: int64 [B, L].
        allowed: bool [B, 1, L, L], whether a query (third axis) may see a key (fourth).
        answers: bool [B, L], the tokens to be predicted.
        turns: int64 [B, L], which turn of its row a token belongs to; -1 for prefix and padding.
    """

    input_ids: Tensor
    position_ids: Tensor
    allowed: Tensor
    answers: Tensor
    turns: Tensor


def visual_tokens(media: MediaType, frames: int) -> int:
    """How many placeholders a media item takes in LLaVA-OneVision.

    Args:
        media: "image" or "video".
        frames: Number of frames.

    Returns:
        For a picture the base view, the one tile and a line end for each of its rows; for a video
        a quarter of the patches of each frame and one line end.
    """
    if media == "image":
        return GRID**2 + GRID * (GRID + 1)
    return frames * (GRID // 2) ** 2 + 1


def pack(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> Packed:
    """Packs rows into one padded batch.

    Args:
        rows: The rows.
        tokenizer: The tokenizer.

    Returns:
        The batch.
    """
    parts = [_encode(row, tokenizer) for row in rows]
    length = max(len(ids) for ids, *_ in parts)
    shape = (len(rows), length)
    input_ids = torch.full(shape, tokenizer.pad_token_id)
    position_ids, turns = torch.zeros(shape, dtype=torch.long), torch.full(shape, _PADDING - 1)
    answers = torch.zeros(shape, dtype=torch.bool)
    for place, (ids, positions, owners, asked) in enumerate(parts):
        end = len(ids)
        input_ids[place, :end] = torch.tensor(ids)
        position_ids[place, :end] = torch.tensor(positions)
        turns[place, :end] = torch.tensor(owners)
        answers[place, :end] = torch.tensor(asked)
    query, key = turns[:, :, None], turns[:, None, :]
    # A prefix token has turn -1 and is seen by all after it; padding has -2 and sees only padding.
    allowed = ((query == key) | ((key == -1) & (query >= 0))).tril()
    return Packed(
        input_ids=input_ids,
        position_ids=position_ids,
        allowed=allowed[:, None],
        answers=answers,
        turns=turns.clamp(min=-1),
    )


def _encode(
    row: Row, tokenizer: PreTrainedTokenizerFast
) -> tuple[list[int], list[int], list[int], list[bool]]:
    """Token ids, positions, turns (-1: prefix) and answer flags of a row."""

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    placeholder = tokenizer.image_token_id if row.media == "image" else tokenizer.video_token_id
    holes = [int(placeholder)] * visual_tokens(row.media, len(row.frames))
    ids = [*encode(USER), *holes]
    prefix = len(ids)
    positions, turns, answers = list(range(prefix)), [-1] * prefix, [False] * prefix
    for turn, (question, answer) in enumerate(row.turns):
        asked = encode(f"{question}{ASSISTANT}")
        told = encode(f"{answer}{END}")
        ids += asked + told
        positions += range(prefix, prefix + len(asked) + len(told))
        turns += [turn] * (len(asked) + len(told))
        answers += [False] * len(asked) + [True] * len(told)
    return ids, positions, turns, answers
