"""The interface of task heads: from a task token's hidden state to a typed result.

Shapes: N slots of one head in a batch, D hidden size of the backbone, M media items they ask about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from tpo_core.errors import InputError
from tpo_core.media.types import FrameFeatures, Media
from tpo_core.results import Result
from tpo_core.tokens import TaskToken

Need = Literal["frames", "frame_features"]
LossTerms = dict[str, tuple[Tensor, float]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadContext:
    """What a head may know about its N slots besides their states.

    Args:
        media: The M media items; frames are present only if the head needs `"frames"`.
        media_index: `[N]` long, the media item of each slot.
        features: One per media item if the head needs `"frame_features"`, else empty.
        prompts: For each slot, the prompts (pydantic records) its user gave in the same branch.
        questions: For each slot, the last user turn before it.
    """

    media: tuple[Media, ...]
    media_index: Tensor
    features: tuple[FrameFeatures, ...] = ()
    prompts: tuple[tuple[BaseModel, ...], ...] = ()
    questions: tuple[str, ...] = ()

    def media_of(self, slot: int) -> Media:
        """Return the media item that slot number `slot` is about."""
        return self.media[int(self.media_index[slot])]


class TaskHead(nn.Module, ABC):
    """A task head: reads the states of its slots, gives outputs, losses and typed results.

    A head never sees the tokenizer, the LLM or other heads. Subclasses set the class attributes and
    implement `forward`, `loss` and `decode`; their constructor takes `hidden_size` first and
    options by keyword, all JSON-serialisable, and calls
    `super().__init__(hidden_size, state=state)`.

    `tokens` are its task tokens, `Target` the pydantic model of one label (with a field `task`),
    `Prompt` that of one prompt where a token has one and it is not the core's box prompt, `needs`
    what it wants of the media besides size and times.

    Args:
        hidden_size: D, width of the backbone's hidden states.
        state: Which state feeds the head: `"slot"`, the final hidden state at the slot token (as in
            TPO), or `"trigger"`, the state that predicts the slot.

    Raises:
        InputError: If an option has a value the head does not know.
    """

    tokens: ClassVar[tuple[TaskToken, ...]]
    Target: ClassVar[type[BaseModel]]
    Prompt: ClassVar[type[BaseModel] | None] = None
    needs: ClassVar[frozenset[Need]] = frozenset()

    def __init__(self, hidden_size: int, *, state: Literal["slot", "trigger"] = "slot") -> None:
        super().__init__()
        if hidden_size < 1:
            raise InputError(
                f"hidden_size is {hidden_size}; expected the backbone's width, at least 1"
            )
        if state not in ("slot", "trigger"):
            raise InputError(f"head option state is {state!r}; expected 'slot' or 'trigger'")
        self.hidden_size = hidden_size
        self.state = state

    @property
    @abstractmethod
    def loss_weights(self) -> Mapping[str, float]:
        """Weight of each loss term in the sum; also names the terms."""

    @abstractmethod
    def forward(self, states: Tensor, context: HeadContext) -> Any:
        """Compute outputs for N slots.

        Args:
            states: `[N, D]`, N >= 1.
            context: What else is known about the slots.
        """

    @abstractmethod
    def loss(self, outputs: Any, targets: Sequence[Any]) -> LossTerms:
        """Compare outputs with the N targets.

        Returns:
            For each name in `loss_weights` the *sum* over items (a scalar tensor with gradient) and
            the number of items, equal to `counts(targets)[name]`. The engine divides by the global
            number, over ranks and accumulated micro-batches.
        """

    @abstractmethod
    def decode(self, outputs: Any, context: HeadContext) -> list[Result]:
        """Turn outputs into one typed result per slot."""

    def counts(self, targets: Sequence[Any]) -> dict[str, float]:
        """Return the number of items of each loss term, known before the forward pass."""
        return dict.fromkeys(self.loss_weights, float(len(targets)))

    def skip_reason(self, target: Any, media: Media | None) -> str | None:
        """Return why a target cannot be trained on (counted and logged), or None."""
        return None

    def encode_prompts(self, prompts: Sequence[Any]) -> Tensor:
        """Embed P prompts of this head's prompt token as `[P, D]`.

        Raises:
            InputError: If the head takes no prompts.
        """
        raise InputError(f"{type(self).__name__} takes no prompts; remove them from the record")

    def parameter_dtype(self) -> torch.dtype:
        """Return the dtype the head computes in (that of its first parameter)."""
        return next(self.parameters()).dtype
