"""Choose the next token of each row: the likeliest, or a sample.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tpo_core.errors import InputError

Choose = Callable[[Sequence[int], Tensor], Tensor]
"""From the numbers of B answers and their logits `[B, V]` to token ids `[B]`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Args:
        max_new_tokens: Tokens of an answer; a slot that its last trigger forces may come on top.
        do_sample: Sample instead of taking the likeliest.
        temperature: Logits are divided by it.
        top_p: Sample among the likeliest tokens that together have this probability.
        top_k: Sample among this many likeliest tokens; 0 for all.
        num_beams: Hypotheses kept by beam search; 1 for none.
        seed: Makes samples reproducible; the question's place in the batch is part of it.

    Raises:
        InputError: If a value is out of range, or sampling and beams are both asked for.
    """

    max_new_tokens: int = 64
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    num_beams: int = 1
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = (
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("temperature", self.temperature > 0, "more than 0 (greedy: do_sample=False)"),
            ("top_p", 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("top_k", self.top_k >= 0, "at least 0 (0 for all tokens)"),
            ("num_beams", self.num_beams >= 1, "at least 1"),
        )
        for name, is_good, expected in checks:
            if not is_good:
                raise InputError(f"{name} is {getattr(self, name)}; expected {expected}")
        if self.do_sample and self.num_beams > 1:
            raise InputError(
                f"do_sample with num_beams={self.num_beams}; beam search does not sample, so "
                "choose one"
            )


def greedy(numbers: Sequence[int], logits: Tensor) -> Tensor:
    """Return the likeliest token of each row, `[B]`."""
    return logits.argmax(-1)


def sampler(settings: Sampling, places: Sequence[int], device: torch.device) -> Choose:
    """Return a function that samples, every answer from its own stream of random numbers.

    So an answer does not depend on what else is in the batch.

    Args:
        settings: Temperature, top-k, top-p and seed.
        places: The place of each answer's question in the list that was asked.
        device: Where the logits are.
    """
    from transformers import (
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    warpers = LogitsProcessorList()
    if settings.temperature != 1:
        warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
    if settings.top_k:
        warpers.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1:
        warpers.append(TopPLogitsWarper(settings.top_p))
    generators = [torch.Generator(device) for _ in places]
    for generator, place in zip(generators, places, strict=True):
        if settings.seed is None:
            generator.seed()
        else:
            # A large odd step keeps the streams of neighbouring seeds apart.
            generator.manual_seed((settings.seed + 0x9E3779B97F4A7C15 * place) % 2**63)

    def choose(numbers: Sequence[int], logits: Tensor) -> Tensor:
        none = torch.empty(len(logits), 0, dtype=torch.long)
        shares = warpers(none, logits).softmax(-1)
        drawn = [
            torch.multinomial(row, 1, generator=generators[number])
            for number, row in zip(numbers, shares, strict=True)
        ]
        return torch.cat(drawn)

    return choose
