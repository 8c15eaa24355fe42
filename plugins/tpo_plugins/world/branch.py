"""One question and answer about a scene, and how it is written in a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from tpo_plugins.world.scene import Scene

_T = TypeVar("_T")
Ask = Callable[[], "Branch | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A question with its answer and labels.

    Attributes:
        kind: What is asked, such as "appear" or "count"; for statistics, not in the record.
        question: The user's text.
        answer: The assistant's text.
        targets: Labels of the slots in the answer, in order.
        prompts: Prompts of the slots in the question, in order.
        about: Positions in `Scene.objects` of the objects asked about.
    """

    kind: str
    question: str
    answer: str
    targets: tuple[dict[str, Any], ...] = ()
    prompts: tuple[dict[str, Any], ...] = ()
    about: tuple[int, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The branch as a record holds it."""
        messages = [
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": self.answer},
        ]
        written: dict[str, Any] = {"messages": messages}
        if self.prompts:
            written["prompts"] = list(self.prompts)
        if self.targets:
            written["targets"] = list(self.targets)
        return written


def in_words(kind: str, question: str, answer: str, *about: int) -> Branch:
    """A chat branch; the answer becomes a sentence with a capital and a full stop."""
    text = f"{answer[0].upper()}{answer[1:]}."
    return Branch(kind=kind, question=question, answer=text, about=about)


def eligible(scene: Scene) -> list[int]:
    """Objects that may be asked about: any in train and val, those of held-out pairs in test."""
    return [
        place for place, item in enumerate(scene.objects) if scene.split != "test" or item.held_out
    ]


def pick(rng: np.random.Generator, choices: Iterable[_T]) -> _T:
    """One of some templates, each as likely."""
    options = tuple(choices)
    return options[int(rng.integers(len(options)))]


def race(candidates: Sequence[tuple[float, Ask]], rng: np.random.Generator) -> list[Ask]:
    """Random order in which heavier candidates tend to come first (exponential races).

    Args:
        candidates: (weight, ask) pairs; weights above 0.
        rng: Source of chance.

    Returns:
        The asks; the first is candidate i with probability weight_i / sum of weights.
    """
    times = [rng.exponential() / weight for weight, _ in candidates]
    return [candidates[int(place)][1] for place in np.argsort(times)]


def pick_branches(asks: Iterable[Ask], *, count: int) -> list[Branch]:
    """The first answers that exist and differ.

    Args:
        asks: Functions that give a branch, or None if the scene does not allow the question.
        count: How many branches to keep at most.

    Returns:
        Up to `count` branches with different questions.
    """
    kept: list[Branch] = []
    for ask in asks:
        if len(kept) == count:
            break
        branch = ask()
        if branch is not None and branch.question not in {other.question for other in kept}:
            kept.append(branch)
    return kept
