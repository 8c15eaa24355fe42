"""Make answers of what was decoded: heads run on the states of slots, results put into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tpo_core.backbone import RenderedBranch, RenderedRecord
from tpo_core.batch import SlotBatch
from tpo_core.inference.answer import Answer
from tpo_core.inference.decode import Written
from tpo_core.inference.question import PreparedQuestion
from tpo_core.media.types import Media
from tpo_core.model import TpoModel
from tpo_core.results import Result


def run_heads(
    model: TpoModel,
    group: Sequence[PreparedQuestion],
    written: Sequence[Written],
    record: RenderedRecord,
    visual: Sequence[Any],
) -> list[list[Result]]:
    """Run each head once on all its slots of the questions about a media item.

    Args:
        model: The model.
        group: The questions.
        written: What was decoded of each answer, with the states of its slots.
        record: What was rendered.
        visual: What the backbone encoded of the media.

    Returns:
        The results of each answer, in the order of its slots.
    """
    heads = model.head_by_task
    places: dict[str, list[tuple[int, int]]] = {}
    for number, answer in enumerate(written):
        for at, (task, _) in enumerate(answer.slots):
            places.setdefault(task, []).append((number, at))
    results: dict[tuple[int, int], Result] = {}
    for task, slots in places.items():
        zeros = torch.zeros(len(slots), dtype=torch.long)
        batch = SlotBatch(
            positions=zeros,
            record=zeros,
            prompts=tuple(group[number].prompts for number, _ in slots),
            questions=tuple(group[number].question.text for number, _ in slots),
        )
        states = torch.stack([written[number].slots[at][1] for number, at in slots])
        decoded = model.decode_head(heads[task], states, batch, [record], visual)
        results |= dict(zip(slots, decoded, strict=True))
    return [
        [results[number, at] for at in range(len(answer.slots))]
        for number, answer in enumerate(written)
    ]


def compose(
    model: TpoModel,
    question: PreparedQuestion,
    branch: RenderedBranch,
    written: Written,
    results: Sequence[Result],
    media: Media | None,
    num_frames: int,
) -> Answer:
    """Put an answer together.

    Args:
        model: The model.
        question: What was asked.
        branch: The question as it was rendered.
        written: What was decoded.
        results: What its slots stand for, in order.
        media: What was looked at.
        num_frames: How many frames were asked for.
    """
    assert written.finish is not None, "decoding ended without a reason"
    decode = model.backbone.renderer.decode
    raw = decode(written.ids)
    # Decoded as one: by itself the first token loses the blank between it and the prefix.
    whole = decode((*_begun(branch), *written.ids)) if question.question.prefix else raw
    tasks = [task for task, _ in written.slots]
    tokens = model.vocabulary.tokens
    return Answer(
        question=question.question,
        text=model.vocabulary.strip(raw, [str(result) for result in results]),
        results=tuple(zip(tasks, results, strict=True)),
        media=None if media is None else media.without_frames(),
        num_frames=num_frames,
        finish_reason=written.finish,
        token_ids=written.ids,
        log_prob=written.log_prob,
        marked_text=model.vocabulary.strip(whole, [tokens[task].marker for task in tasks]),
    )


def _begun(branch: RenderedBranch) -> list[int]:
    """Return the token ids of a prefix: the last that the assistant said."""
    asked = (~branch.supervised).nonzero()[-1]
    return branch.ids[int(asked) + 1 :].tolist()
