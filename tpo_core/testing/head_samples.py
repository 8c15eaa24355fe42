"""Made-up slots for testing heads: media, frame features, prompts and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel

from tpo_core.head import HeadContext, TaskHead
from tpo_core.media.types import FrameFeatures, Media
from tpo_core.records.schema import (
    MaskTarget,
    RegionPrompt,
    RegionTarget,
    Rle,
    Saliency,
    TemporalTarget,
)

FRAMES_PER_SECOND = 2.0
_CLIPS = ((6, 9, (48, 64)), (4, 12, (40, 32)), (1, 4, (32, 32)))  # frames, tokens a frame, size


def sample_context(head: TaskHead, slots: int, *, seed: int = 0) -> HeadContext:
    """Make a context of up to three short videos of unlike length and size, one of a single frame.

    Args:
        head: Decides by its `needs` whether frames and features are there.
        slots: N; slot i asks about video i modulo 3.
        seed: Of the random pixels and features.
    """
    generator = torch.Generator().manual_seed(seed)
    media, features = [], []
    for frames, tokens, (height, width) in _CLIPS[:slots]:
        times = torch.arange(frames, dtype=torch.float64) / FRAMES_PER_SECOND
        pixels = torch.randint(
            256, (frames, 3, height, width), generator=generator, dtype=torch.uint8
        )
        item = Media(
            kind="video",
            frames=pixels if "frames" in head.needs else None,
            times=times,
            indices=tuple(range(frames)),
            size=(height, width),
            duration=frames / FRAMES_PER_SECOND,
            total_frames=frames,
        )
        media.append(item)
        features.append(
            FrameFeatures(
                features=torch.randn(frames, tokens, head.hidden_size, generator=generator),
                times=times + 0.5 / FRAMES_PER_SECOND,
                duration=item.duration,
            )
        )
    return HeadContext(
        media=tuple(media),
        media_index=torch.arange(slots) % len(media),
        features=tuple(features) if "frame_features" in head.needs else (),
        prompts=((),) * slots,
        questions=("Where is it?",) * slots,
    )


def take_slots(context: HeadContext, rows: Sequence[int]) -> HeadContext:
    """Return the context of some of its slots, in the order given; media nobody asks about go."""
    wanted = [int(context.media_index[row]) for row in rows]
    kept = sorted(set(wanted))
    return replace(
        context,
        media=tuple(context.media[index] for index in kept),
        media_index=torch.tensor([kept.index(index) for index in wanted]),
        features=tuple(context.features[index] for index in kept) if context.features else (),
        prompts=tuple(context.prompts[row] for row in rows) if context.prompts else (),
        questions=tuple(context.questions[row] for row in rows) if context.questions else (),
    )


def sample_targets(
    target: type[BaseModel], context: HeadContext, *, seed: int = 0
) -> list[BaseModel]:
    """Make one random target per slot for the target models of this package.

    Raises:
        NotImplementedError: For a plugin's own target model; override
            `HeadConformance.make_targets`.
    """
    makers = {RegionTarget: _region, TemporalTarget: _temporal, MaskTarget: _mask}
    if target not in makers:
        raise NotImplementedError(
            f"no sample targets are known for {target.__name__}; override make_targets() in the "
            "conformance test"
        )
    generator = torch.Generator().manual_seed(seed)
    slots = range(len(context.media_index))
    return [makers[target](context.media_of(slot), slot, generator) for slot in slots]


def sample_prompts(count: int, *, seed: int = 0) -> list[RegionPrompt]:
    """Make random box prompts."""
    generator = torch.Generator().manual_seed(seed)
    return [RegionPrompt(box=_box(generator)) for _ in range(count)]


def _box(generator: torch.Generator) -> tuple[float, float, float, float]:
    x, y, width, height = torch.rand(4, generator=generator).tolist()
    return 0.5 * x, 0.5 * y, 0.5 * x + 0.2 + 0.3 * width, 0.5 * y + 0.2 + 0.3 * height


def _region(media: Media, slot: int, generator: torch.Generator) -> RegionTarget:
    return RegionTarget(box=_box(generator))


def _temporal(media: Media, slot: int, generator: torch.Generator) -> TemporalTarget:
    """Make one or two moments; every second target has saliency, so that both losses are run."""
    a, b, c, d = torch.rand(4, generator=generator).tolist()
    half = media.duration / 2
    spans = [(half * 0.5 * a, half * (0.6 + 0.4 * b))]
    if slot % 3 == 1:
        spans.append((half * (1.1 + 0.4 * c), half * (1.6 + 0.4 * d)))
    saliency = None
    if slot % 2:
        times = media.times.tolist()
        scores = torch.rand(len(times), generator=generator).tolist()
        saliency = Saliency(times=times, scores=scores)
    return TemporalTarget(spans=spans, saliency=saliency)


def _mask(media: Media, slot: int, generator: torch.Generator) -> MaskTarget:
    from tpo_core.records.rle import encode

    height, width = media.size
    frames: dict[int, Any] = {}
    for index in media.indices:
        x1, y1, x2, y2 = _box(generator)
        mask = torch.zeros(height, width, dtype=torch.bool)
        mask[int(y1 * height) : int(y2 * height), int(x1 * width) : int(x2 * width)] = True
        frames[index] = Rle.model_validate(encode(mask))
    return MaskTarget(frames=frames)
