"""Step 3: teaches the language model to talk about what the tower sees, by captions and chat alone.

No box, no time and no task token is in these texts. Tower and projector stay as steps 1 and 2 left
them: trained further, the projector soon forgets where things are, which chat hardly asks for.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaOnevisionForConditionalGeneration, PreTrainedTokenizerFast

from tpo_plugins.tiny.packing import Packed, Row, pack
from tpo_plugins.tiny.schedule import cosine_schedule
from tpo_plugins.tiny.vision import degrade, nameless_colour, patch_features, to_pixel_values
from tpo_plugins.world import Sample, scene_stream
from tpo_plugins.world.attributes import COLOURS, SIDE, MediaType, Split
from tpo_plugins.world.render import render

_LOG = logging.getLogger(__name__)
_NAMES_COLOUR = re.compile(rf"\bcolour\b|\b({'|'.join(COLOURS)})\b", re.IGNORECASE)

View = Literal["glimpse", "image", "video"]
"""How a scene is shown: a picture as a one-frame video, a picture, or a video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """How the model is trained to talk.

    Attributes:
        steps: Optimiser steps.
        rows: Media items a step, by view.
        mixture: Chance of each view of `rows` to make a step.
        questions: Chat questions asked of a media item.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Of AdamW.
        caption_weight: Weight of the captions' loss against that of the answers.
        start: Place in the split of the first scene.
        crowd: Least and greatest number of objects in a scene; by default the world's own.
        painted: Share of the pictures whose objects have random colours that no word names. They
            are asked about everything but colours, so that the model does not learn to guess
            shapes from the colours they come in.
    """

    steps: int
    rows: dict[View, int]
    mixture: dict[View, float]
    questions: int = 8
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    caption_weight: float = 0.5
    start: int = 0
    crowd: tuple[int, int] | None = None
    painted: float = 0.0


def train_chat(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    settings: ChatSettings,
) -> dict[str, float]:
    """Trains the language model in place on the train split; tower and projector stay as they are.

    Args:
        model: The model; its tower and projector are frozen here.
        tokenizer: The tokenizer.
        seed: Seed of the world and of the order of views.
        settings: How to train.

    Returns:
        Running averages of the losses at the end, by view.
    """
    model.model.vision_tower.requires_grad_(False).eval()
    model.model.multi_modal_projector.requires_grad_(False)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.98),
    )
    schedule = cosine_schedule(optimizer, steps=settings.steps)
    rng = np.random.default_rng(seed)
    noise = torch.Generator().manual_seed(seed)
    views = tuple(settings.mixture)
    streams = {
        view: rows(
            seed,
            "train",
            view,
            questions=settings.questions,
            start=settings.start,
            crowd=settings.crowd,
            painted=settings.painted,
        )
        for view in views
    }
    averages: dict[str, float] = {}
    start = time.monotonic()
    for step in range(1, settings.steps + 1):
        view = views[int(rng.choice(len(views), p=list(settings.mixture.values())))]
        batch = [next(streams[view]) for _ in range(settings.rows[view])]
        told, described = losses(model, tokenizer, batch, noise=noise)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(told + settings.caption_weight * described)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        for name, value in (
            (f"{view} answers", told.item()),
            (f"{view} captions", described.item()),
        ):
            averages[name] = averages.get(name, value) + 0.05 * (value - averages.get(name, value))
        if step % 50 == 0:
            text = ", ".join(f"{name} {value:.3f}" for name, value in averages.items())
            _LOG.info("chat step %d after %.0f s: %s", step, time.monotonic() - start, text)
    return averages


def rows(
    seed: int,
    split: Split,
    view: View,
    *,
    questions: int,
    start: int = 0,
    crowd: tuple[int, int] | None = None,
    painted: float = 0.0,
) -> Iterator[tuple[Row, Sample]]:
    """Rows of a view: the sample's chat questions, then a request for its caption.

    Painted scenes are asked nothing that needs a colour's name, and for no caption.

    Args:
        seed: Seed of the world.
        split: The split.
        view: How to show the scenes.
        questions: Chat questions of a row at most.
        start: Place of the first sample.
        crowd: Least and greatest number of objects in a scene.
        painted: Share of the pictures to paint in colours without a name.

    Yields:
        Rows with their samples, without end.
    """
    media: MediaType = "video" if view == "video" else "image"
    stream = scene_stream(seed, split, start=start, media=media, chat=questions, crowd=crowd)
    rng = np.random.default_rng(seed + start)
    for sample in stream:
        chat = [(b.question, b.answer) for b in sample.branches if not (b.targets or b.prompts)]
        chat.append((sample.caption.question, sample.caption.answer))
        frames = sample.rendering.frames
        if media == "image" and rng.random() < painted:
            paints = [nameless_colour(rng) for _ in sample.scene.objects]
            frames = render(sample.scene, paints=paints).frames
            chat = [turn for turn in chat[:-1] if not _NAMES_COLOUR.search(" ".join(turn))]
        if chat:
            kind: MediaType = "image" if view == "image" else "video"
            yield Row(frames=frames, media=kind, turns=tuple(chat)), sample


def losses(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    batch: Sequence[tuple[Row, Sample]],
    *,
    noise: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the answers' tokens and of the captions' tokens, each a mean.

    Args:
        model: The model.
        tokenizer: The tokenizer.
        batch: Rows with their samples; a row's last turn may ask for its caption.
        noise: If given, frames are degraded as decoded video is.

    Returns:
        Two scalars.
    """
    packed = pack([row for row, _ in batch], tokenizer)
    logits, truth, (row, turn) = predictions(model, packed, [row for row, _ in batch], noise=noise)
    cost = F.cross_entropy(logits, truth, reduction="none")
    described = [
        len(row.turns) - 1 if row.turns[-1][0] == sample.caption.question else len(row.turns)
        for row, sample in batch
    ]
    caption = turn == torch.tensor(described)[row]
    return _mean(cost[~caption]), _mean(cost[caption])


def _mean(cost: Tensor) -> Tensor:
    return cost.sum() / max(cost.numel(), 1)


def predictions(
    model: LlavaOnevisionForConditionalGeneration,
    packed: Packed,
    batch: Sequence[Row],
    *,
    noise: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Runs the model and scores the answers' tokens only.

    Args:
        model: The model.
        packed: The rows' tokens.
        batch: The rows.
        noise: If given, frames are degraded as decoded video is.

    Returns:
        Logits [A, V] and true ids [A] of the A answer tokens; the row and turn of each, both [A].
    """
    embeds = model.get_input_embeddings()(packed.input_ids)
    holes = (packed.input_ids == model.config.image_token_id) | (
        packed.input_ids == model.config.video_token_id
    )
    visual = visual_features(model, batch, noise=noise)
    embeds = embeds.masked_scatter(holes[..., None], visual.to(embeds.dtype))
    states = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=packed.allowed,
        position_ids=packed.position_ids,
        use_cache=False,
    ).last_hidden_state
    row, place = packed.answers.nonzero(as_tuple=True)
    # Answers never open a turn, so the token before is of the same turn and predicts this one.
    logits = model.lm_head(states[row, place - 1])
    return logits, packed.input_ids[row, place], (row, packed.turns[row, place])


def visual_features(
    model: LlavaOnevisionForConditionalGeneration,
    batch: Sequence[Row],
    *,
    noise: torch.Generator | None = None,
) -> Tensor:
    """Projected features of all rows' placeholders, [N, D]; no gradient goes into the tower.

    Args:
        model: The model.
        batch: The rows.
        noise: If given, frames are degraded as decoded video is.

    Returns:
        The features, as `get_image_features` and `get_video_features` would give them row by row.
    """
    inner = model.model
    frames = torch.from_numpy(np.concatenate([row.frames for row in batch]))
    if noise is not None:
        frames = degrade(frames, noise)
    with torch.no_grad():
        features = patch_features(inner.vision_tower, to_pixel_values(frames))
    projected = inner.multi_modal_projector(features)
    parts = []
    for row, part in zip(batch, projected.split([len(row.frames) for row in batch]), strict=True):
        if row.media == "image":
            # The one tile equals the base view, so both share one run of the tower.
            size = torch.tensor([[SIDE, SIDE]])
            views = part.expand(2, -1, -1)
            parts += inner.pack_image_features([views], size, image_newline=inner.image_newline)[0]
        else:
            parts += [inner.apply_pooling(part).flatten(0, 1), inner.image_newline[None]]
    return torch.cat(parts)


@torch.no_grad()
def measure_chat(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    split: Split,
    scenes: int = 96,
) -> dict[str, float]:
    """Exact-match accuracy of chat answers on pictures and videos of a split.

    Greedy decoding gives the true answer if and only if every token of it is the likeliest after
    the true tokens before it; so one forward pass measures it.

    Args:
        model: The model.
        tokenizer: The tokenizer.
        seed: Seed of the world.
        split: "val", or "test" for held-out pairs.
        scenes: How many pictures, and how many videos.

    Returns:
        Accuracy over all questions ("qa"), on pictures, on videos, and by kind of question.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    for view in ("image", "video"):
        stream = rows(seed, split, view, questions=4)
        for _ in range(scenes // 8):
            batch = [next(stream) for _ in range(8)]
            only = [row for row, _ in batch]
            logits, truth, (row, turn) = predictions(model, pack(only, tokenizer), only)
            right = logits.argmax(-1) == truth
            for place, (_, sample) in enumerate(batch):
                kinds = [b.kind for b in sample.branches if not (b.targets or b.prompts)]
                for index, kind in enumerate(kinds):
                    hit = bool(right[(row == place) & (turn == index)].all())
                    for name in ("qa", view, kind):
                        hits[name].append(hit)
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(hits.items())}
