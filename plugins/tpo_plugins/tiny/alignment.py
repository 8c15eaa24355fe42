"""Step 2: gives what the tower sees the names of the language model's words.

The projected feature of a cell is drawn to the embeddings of the words for the object it shows
("red", "circle", "striped", "small"), so that a question's words and the cells they mean start out
alike, and keeps telling where the object is. Without this start a language model of this size needs
many times more steps before its attention finds the object a question is about.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaOnevisionForConditionalGeneration, PreTrainedTokenizerFast

from tpo_plugins.tiny.dense import VOCABULARIES, DenseLabels
from tpo_plugins.tiny.schedule import cosine_schedule
from tpo_plugins.tiny.vision import (
    degrade,
    labelled_frames,
    patch_features,
    pool,
    to_pixel_values,
)

PLACES: Final[dict[str, tuple[str, ...]]] = {
    "column": ("left", "middle", "right"),
    "row": ("top", "middle", "bottom"),
}
"""Words for the thirds of a picture, across and down; the axes of a box's centre in order."""

_BINS = 24
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentSettings:
    """How words and cells are aligned.

    Attributes:
        steps: Optimiser steps.
        batch: Frames a step.
        learning_rate: Peak learning rate of AdamW.
        scale: Factor of the cosine similarities in the cross-entropy.
        box_weight: Weight of the L1 distance of boxes.
        edge_weight: Weight of the cross-entropy by which cells are drawn to codes of their object's
            four edges; codes give places as large a part in a feature as words have.
        painted: Share of scenes whose objects have random colours that no word names. If there are
            any, they alone name shapes, so that no shape is guessed from the colours it comes in;
            the others alone name colours.
        start: Place in the split of the first scene.
    """

    steps: int = 500
    batch: int = 16
    learning_rate: float = 2e-3
    scale: float = 12.0
    box_weight: float = 40.0
    edge_weight: float = 0.0
    painted: float = 0.5
    start: int = 0


def align_words(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    settings: AlignmentSettings,
) -> dict[str, float]:
    """Trains the projector and the words' embeddings in place; nothing else moves.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        seed: Seed of the world.
        settings: How to train.

    Returns:
        The running average of the loss at the end.
    """
    projector, embedding = model.model.multi_modal_projector, model.get_input_embeddings()
    words = word_ids(tokenizer, VOCABULARIES | PLACES)
    box_head = nn.Linear(embedding.embedding_dim, 4)
    codes = nn.Parameter(torch.randn(4, _BINS, embedding.embedding_dim))
    parameters = [*projector.parameters(), embedding.weight, codes, *box_head.parameters()]
    projector.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    schedule = cosine_schedule(optimizer, steps=settings.steps)
    noise = torch.Generator().manual_seed(seed)
    batches = labelled_frames(
        seed, "train", settings.batch, start=settings.start, painted=settings.painted
    )
    average = 0.0
    for step in range(1, settings.steps + 1):
        frames, strange, patches, cells = next(batches)
        with torch.no_grad():
            pixels = to_pixel_values(degrade(frames, noise))
            features = patch_features(model.model.vision_tower, pixels)
        projected = projector(features)
        loss = torch.zeros(())
        for states, labels in ((projected, patches), (pool(projected), cells)):
            loss = loss + word_loss(
                states, labels, strange, embedding.weight, words=words, scale=settings.scale
            )
            shown = labels.objectness > 0
            distance = F.l1_loss(box_head(states[shown]), labels.boxes[shown])
            loss = loss + settings.box_weight * distance
            if settings.edge_weight:
                edges = edge_loss(states[shown], labels.boxes[shown], codes, scale=settings.scale)
                loss = loss + settings.edge_weight * edges
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        average += 0.05 * (loss.item() - average) if step > 1 else loss.item()
        if step % 100 == 0:
            _LOG.info("alignment step %d loss %.3f", step, average)
    return {"loss": round(average, 4)}


def edge_loss(states: Tensor, boxes: Tensor, codes: Tensor, *, scale: float) -> Tensor:
    """Cross-entropy of the similarities between cells and codes of where their object's edges are.

    Args:
        states: Projected features of N cells that show an object, [N, D].
        boxes: The objects' boxes, xyxy in [0, 1], [N, 4].
        codes: A vector for each of K places along the picture, for each edge, [4, K, D].
        scale: Factor of the cosine similarities.

    Returns:
        A scalar, the sum over the edges; an edge between two places counts for both.
    """
    similarity = torch.einsum(
        "nd,ekd->nek", F.normalize(states, dim=-1), F.normalize(codes, dim=-1)
    )
    count = codes.shape[1]
    places = (torch.arange(count) + 0.5) / count
    truth = (-0.5 * ((boxes[..., None] - places) * count) ** 2).softmax(dim=-1)
    return -(truth * (scale * similarity).log_softmax(dim=-1)).sum(dim=-1).mean(dim=0).sum()


def word_ids(
    tokenizer: PreTrainedTokenizerFast, vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, list[Tensor]]:
    """Token ids of each attribute's words, inside a sentence (" red") and at its head ("Red").

    Args:
        tokenizer: The tokenizer; both forms of every word must be one token.
        vocabularies: Words by attribute.

    Returns:
        By attribute, two tensors [V] in the order of its vocabulary.

    Raises:
        ValueError: A word takes more than one token.
    """
    ids: dict[str, list[Tensor]] = {}
    for name, vocabulary in vocabularies.items():
        for form in (lambda word: f" {word}", str.capitalize):
            pieces = [tokenizer.encode(form(word), add_special_tokens=False) for word in vocabulary]
            if any(len(piece) != 1 for piece in pieces):
                raise ValueError(f"a {name} word takes several tokens: learn from more sentences")
            ids.setdefault(name, []).append(torch.tensor([piece[0] for piece in pieces]))
    return ids


def word_loss(
    states: Tensor,
    labels: DenseLabels,
    strange: Tensor,
    embeddings: Tensor,
    *,
    words: dict[str, list[Tensor]],
    scale: float,
) -> Tensor:
    """Cross-entropy of the cosine similarities between cells and the words of each attribute.

    Args:
        states: Projected features, [B, C, D].
        labels: Labels of the C cells.
        strange: bool [B], the painted frames.
        embeddings: The vocabulary's embeddings, [V, D].
        words: Token ids, see `word_ids`.
        scale: Factor of the similarities.

    Returns:
        A scalar, the sum over attributes and forms of means over the cells that show an object.
    """
    shown = labels.objectness > 0
    seen = F.normalize(states[shown], dim=-1)
    nameless = strange[:, None].expand_as(shown)[shown]
    asked = {"shape": nameless, "colour": ~nameless}
    truth = {name: indices[shown] for name, indices in labels.words.items()}
    centres = (labels.boxes[shown][:, :2] + labels.boxes[shown][:, 2:]) / 2
    thirds = (3 * centres).long().clamp(max=2)
    truth |= {name: thirds[:, axis] for axis, name in enumerate(PLACES)}
    loss = torch.zeros(())
    for name, forms in words.items():
        for ids in forms:
            logits = scale * seen @ F.normalize(embeddings[ids], dim=-1).T
            cost = F.cross_entropy(logits, truth[name], reduction="none")
            if name in asked and strange.any():
                cost = cost * asked[name]
            loss = loss + cost.mean()
    return loss
