"""The interface of backbone adapters: messages and media in, last hidden states out.

Shapes: L tokens of a packed batch, P of a media prefix, l of a branch, D hidden size, V vocabulary,
B rows while decoding, N chosen positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from tpo_core.media.sampling import FrameChooser, choose_frames
from tpo_core.media.types import FrameFeatures, Media
from tpo_core.records.schema import Message

Strategy = Literal["tree", "prefix_cache", "single"]
GroupName = Literal["vision", "connector", "llm"]
VISUAL_GROUPS: tuple[GroupName, ...] = ("vision", "connector")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RenderedBranch:
    """One conversation as token ids, without the media prefix.

    Args:
        ids: `[l]` long.
        supervised: `[l]` bool, true where the token was written by the assistant (its end-of-turn
            token included), so that it may serve as a label.
    """

    ids: Tensor
    supervised: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RenderedRecord:
    """One media item and the conversations about it, ready to pack.

    Args:
        prefix_ids: `[P]` long, up to the last visual placeholder; what all branches share.
        branches: The conversations, in order; each continues the prefix.
        inputs: What the processor made of the media (`pixel_values`, grids, ...); empty for text.
        media: The media item, for its times, size and duration.
        extras: Whatever else the adapter needs per token of the prefix, for instance token types.
    """

    prefix_ids: Tensor
    branches: tuple[RenderedBranch, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    media: Media | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)


class Renderer(Protocol):
    """Turns messages and media into token ids; holds no weights, so data loaders may copy it."""

    def render(
        self,
        media: Media | None,
        conversations: Sequence[Sequence[Message]],
        *,
        generate: bool = False,
    ) -> RenderedRecord:
        """Render conversations about one media item with the backbone's own chat template.

        Args:
            media: The item, its frames present; placed before the text of the first user turn.
            conversations: Messages whose text already holds task-token texts.
            generate: End with the template's generation prompt instead of an end of turn; a last
                assistant turn is left open instead, as a beginning of the answer, and supervised.

        Raises:
            InputError: If the backbone cannot take this kind of media, or a text holds one of the
                backbone's own placeholder tokens.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Turn generated ids into text, the backbone's own special tokens left out."""
        ...

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: the template's end of turn and the end of sequence."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackedTokens:
    """Several records laid end to end in one row, each a tree: prefix, then its branches.

    Args:
        ids: `[L]` long.
        records: The records, in row order; their lengths say where each part lies.
    """

    ids: Tensor
    records: tuple[RenderedRecord, ...]

    def spans(self) -> list[tuple[slice, list[slice]]]:
        """Return for each record the slices of its prefix and of its branches in the row."""
        spans, at = [], 0
        for record in self.records:
            prefix = slice(at, at + len(record.prefix_ids))
            at = prefix.stop
            branches = []
            for branch in record.branches:
                branches.append(slice(at, at + len(branch.ids)))
                at += len(branch.ids)
            spans.append((prefix, branches))
        return spans


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenEmbeddings:
    """Embeddings that replace the input rows of given tokens (prompt tokens).

    Args:
        token_ids: `[E]` long, the ids whose rows are replaced, one per occurrence, in row-major
            order of occurrence.
        values: `[E, D]`.
    """

    token_ids: Tensor
    values: Tensor


class DecodingState(Protocol):
    """A KV cache of B rows with what the adapter needs to continue each; opaque to the engine."""

    @property
    def rows(self) -> int:
        """Return B."""
        ...


class BackboneAdapter(nn.Module, ABC):
    """Wraps one backbone. Its `forward` returns last hidden states after the final norm, only.

    Attributes:
        model: The transformers model (PEFT layers are injected into it in place).
        renderer: Turns messages and media into token ids.
        strategy: How several branches and records share a forward pass; set by `self_check`.
        hidden_size: D.
        choose_frames: Which frames of a video the model looks at, in training and after it; uniform
            in time unless a subclass names another function.
    """

    choose_frames: ClassVar[FrameChooser] = staticmethod(choose_frames)
    model: nn.Module
    renderer: Renderer
    strategy: Strategy
    hidden_size: int

    @classmethod
    @abstractmethod
    def load(
        cls,
        checkpoint: str,
        *,
        dtype: torch.dtype | None = None,
        attention: str = "auto",
        device: torch.device | str | None = None,
    ) -> Self:
        """Load weights and processor from a folder or hub id.

        Raises:
            InputError: If there is no such checkpoint or it is of another family.
        """

    @abstractmethod
    def add_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Add tokens (known ones are kept), grow the embeddings if needed, return their ids.

        New rows, input and output, start as the mean of the old ones (upstream's choice).
        """

    @abstractmethod
    def encode(self, records: Sequence[RenderedRecord]) -> list[Any]:
        """Run vision tower and connector; one opaque item per record, None for text only."""

    @abstractmethod
    def forward(
        self,
        batch: PackedTokens,
        visual: Sequence[Any],
        embeddings: TokenEmbeddings | None = None,
    ) -> Tensor:
        """Return the last hidden state of every token, `[L, D]`, whatever `strategy` is.

        Args:
            batch: Packed records.
            visual: What `encode` returned for them.
            embeddings: Rows to put in place of prompt tokens' input embeddings.
        """

    @abstractmethod
    def logits(self, states: Tensor) -> Tensor:
        """Return logits `[N, V]` for chosen last hidden states `[N, D]`."""

    @abstractmethod
    def frame_features(self, record: RenderedRecord, visual: Any) -> FrameFeatures:
        """Return the visual tokens of a record grouped by time, from what `encode` returned."""

    @abstractmethod
    def prefill(self, record: RenderedRecord, visual: Any) -> DecodingState:
        """Run the media prefix once; the state has one row and may be branched many times."""

    @abstractmethod
    def branch(self, state: DecodingState, rows: int) -> DecodingState:
        """Copy a one-row state to `rows` rows; the original stays usable."""

    @abstractmethod
    def extend(
        self,
        state: DecodingState,
        ids: Tensor,
        lengths: Tensor,
        embeddings: TokenEmbeddings | None = None,
    ) -> Tensor:
        """Feed right-padded tokens to every row, in place, and return their states.

        Args:
            state: Continues here; grown by this call.
            ids: `[B, l]` long.
            lengths: `[B]`, how many of each row's tokens are real (0 feeds nothing to that row).
            embeddings: Rows to put in place of prompt tokens' input embeddings.

        Returns:
            `[B, l, D]`; entries past a row's length are meaningless.
        """

    @abstractmethod
    def reorder(self, state: DecodingState, rows: Tensor) -> DecodingState:
        """Return a state of `len(rows)` rows, row b a copy of row `rows[b]`.

        For beam search and finished rows. The original stays usable.
        """

    @abstractmethod
    def parameter_group(self, name: GroupName) -> dict[str, nn.Parameter]:
        """Return the original parameters of a group by their names in `model`."""

    def trains_visual(self) -> bool:
        """Tell whether a parameter of vision tower or connector wants a gradient.

        Asked in every step; an adapter may have a cheaper way to know.
        """
        return any(
            parameter.requires_grad
            for name in VISUAL_GROUPS
            for parameter in self.parameter_group(name).values()
        )

    @abstractmethod
    def lora_targets(self) -> list[str]:
        """Return the names of the linear layers inside the decoder that LoRA may wrap."""

    @abstractmethod
    def self_check(self) -> str:
        """Choose `strategy` by comparing packed with separate runs; return why, in words."""

    @abstractmethod
    def enable_gradient_checkpointing(self) -> None:
        """Recompute activations in the backward pass; gradients stay the same."""

    @abstractmethod
    def save(self, folder: str) -> None:
        """Write weights, config and processor so that `load` restores them bit-exactly.

        The weights are the backbone's own, without what PEFT injected.
        """

    def save_processor(self, folder: str) -> None:
        """Write the tokenizer, task tokens included, and whatever prepares media.

        For readers of a saved model that refers to its backbone; an adapter without such files
        leaves this as it is.
        """
