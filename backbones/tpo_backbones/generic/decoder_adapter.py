"""What adapters share whose decoder is transformers' own: packed passes, decoding, training.

Shapes: L tokens of a packed batch, D hidden size, V vocabulary, B rows, l tokens of a row, N chosen
positions, A position axes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from tpo_backbones.generic import check, decoding, strategies
from tpo_backbones.generic.embeddings import replaced
from tpo_backbones.generic.layout import Layout
from tpo_backbones.generic.masks import TreeMasks
from tpo_backbones.generic.positions import Positions
from tpo_backbones.generic.times import group_times
from tpo_backbones.generic.visual import Visual
from tpo_core.backbone import (
    BackboneAdapter,
    GroupName,
    PackedTokens,
    RenderedRecord,
    Renderer,
    Strategy,
    TokenEmbeddings,
)
from tpo_core.errors import InputError
from tpo_core.media.types import FrameFeatures, Media


class DecoderAdapter(BackboneAdapter):
    """Runs a transformers decoder; how media become its visual tokens is up to a subclass.

    Args:
        model: A model with the accessors of transformers for decoder and embeddings.
        renderer: Turns messages and media into its token ids.
        layout: Where its parts lie.
        text_type: Token type of text, where the model takes token types.

    Attributes:
        model_types: The model types that a subclass serves; empty for any.
    """

    model_types: ClassVar[tuple[str, ...]] = ()
    model: Any

    def __init__(
        self, model: nn.Module, renderer: Renderer, *, layout: Layout, text_type: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self.renderer = renderer
        self.layout = layout
        config = self.model.config
        text_config = config.get_text_config()
        self.hidden_size: int = text_config.hidden_size
        self.softcap: float | None = getattr(text_config, "final_logit_softcapping", None)
        self.positions = Positions(layout.features)
        self.masks = TreeMasks(model, text_type=text_type)
        self.shares_padded_cache = decoding.has_plain_cache(config)
        self.strategy: Strategy = "single"
        self.strategy_reason = "self_check has not run"

    # What a subclass says of its model

    @property
    @abstractmethod
    def placeholder_ids(self) -> tuple[int, ...]:
        """Ids whose rows the model replaces by visual features."""

    @abstractmethod
    def _encode(self, record: RenderedRecord) -> Visual:
        """Run vision tower and connector on the media of a record that has some."""

    @abstractmethod
    def _frame_groups(
        self, record: RenderedRecord, visual: Visual, media: Media
    ) -> tuple[Tensor, Media]:
        """Group the visual tokens of a record by time.

        Returns:
            `[T, n, D]`, and the media item with the times of the frames in these groups.
        """

    @abstractmethod
    def _last_states(
        self, ids: Tensor, mask: Any, visual: Sequence[Visual], options: Mapping[str, Any]
    ) -> tuple[Tensor, Any]:
        """Run the model without its head; see `run`.

        Args:
            ids: `[B, l]`.
            mask: Whatever the decoder takes as `attention_mask`.
            visual: Features of the media in `ids`, in order.
            options: Cache, position ids and token types, by the decoder's names for them.
        """

    # What the model is made of

    @property
    def device(self) -> torch.device:
        """Where ids must lie."""
        device: torch.device = self.input_embedding.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        dtype: torch.dtype = self.input_embedding.weight.dtype
        return dtype

    @property
    def input_embedding(self) -> Any:
        """The input embedding, or PEFT's wrapper of it."""
        return self.model.get_input_embeddings()

    @property
    def pad_id(self) -> int:
        """An ordinary id that fills padding; never looked at."""
        return next(index for index in range(64) if index not in self.placeholder_ids)

    def parameter_group(self, name: GroupName) -> dict[str, nn.Parameter]:
        """Return the original parameters of a group by their names in `model`."""
        return {key: value for group, key, value in self.layout.groups() if group == name}

    def trains_visual(self) -> bool:
        """Tell whether a parameter of vision tower or connector wants a gradient."""
        return self.layout.trains_visual()

    def lora_targets(self) -> list[str]:
        """Return the names of the plain linear layers below the decoder."""
        return self.layout.linear_layers()

    # Media

    def encode(self, records: Sequence[RenderedRecord]) -> list[Visual | None]:
        """Run vision tower and connector on each record's media; None for text."""
        with nullcontext() if self.trains_visual() else torch.no_grad():
            return [self._encode(record) if record.inputs else None for record in records]

    def _placed(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            dtype = self.dtype if value.is_floating_point() else value.dtype
            return value.to(self.device, dtype)
        return [self._placed(part) for part in value] if isinstance(value, list) else value

    def frame_features(self, record: RenderedRecord, visual: Visual | None) -> FrameFeatures:
        """Return the visual tokens of a record grouped by time.

        Raises:
            InputError: If the record is text only.
        """
        if visual is None or record.media is None:
            raise InputError("a text-only record has no frame features; give it an image or video")
        with nullcontext() if self.trains_visual() else torch.no_grad():
            groups, media = self._frame_groups(record, visual, record.media)
        times = group_times(media, len(groups))
        return FrameFeatures(
            features=groups, times=times.to(groups.device), duration=media.duration
        )

    # Forward passes

    def forward(
        self,
        batch: PackedTokens,
        visual: Sequence[Visual | None],
        embeddings: TokenEmbeddings | None = None,
    ) -> Tensor:
        """Return the last hidden state of every token of a packed batch, `[L, D]`."""
        return self.run_packed(self.strategy, batch, visual, embeddings)

    def run_packed(
        self,
        strategy: Strategy,
        batch: PackedTokens,
        visual: Sequence[Visual | None],
        embeddings: TokenEmbeddings | None = None,
    ) -> Tensor:
        """Run a packed batch with a strategy of one's choice, `[L, D]`."""
        if strategy == "prefix_cache" and self.training and self._is_checkpointing():
            strategy = "single"  # gradient checkpointing turns the cache off
        function = getattr(strategies, strategy)
        with replaced(self.input_embedding, embeddings):
            states: Tensor = function(self, batch, visual)
        return states

    def run(
        self,
        ids: Tensor,
        *,
        mask: Any,
        positions: Tensor | None,
        types: Tensor,
        visual: Sequence[Visual],
        cache: Any = None,
    ) -> tuple[Tensor, Any]:
        """Run the model without its head.

        Args:
            ids: `[B, l]`.
            mask: Whatever the model takes as `attention_mask`.
            positions: `[A, B, l]`; None for the model's own.
            types: `[B, l]` token types, passed to models that ask for them.
            visual: Features of the media in `ids`, in order.
            cache: A KV cache to continue and grow; None to run without.

        Returns:
            Last hidden states `[B, l, D]` and the cache.
        """
        options: dict[str, Any] = {"use_cache": cache is not None, "past_key_values": cache}
        if positions is not None:
            options["position_ids"] = self.positions.shaped(positions)
        if self.masks.type_name:
            options[self.masks.type_name] = types
        return self._last_states(ids, mask, visual, options)

    def logits(self, states: Tensor) -> Tensor:
        """Return logits `[N, V]` for chosen last hidden states `[N, D]`."""
        logits: Tensor = self.model.get_output_embeddings()(states)
        if self.softcap:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits

    # Decoding

    def prefill(self, record: RenderedRecord, visual: Visual | None) -> decoding.State:
        """Run the media prefix once; the state has one row."""
        return decoding.prefill(self, record, visual)

    def branch(self, state: Any, rows: int) -> decoding.State:
        """Copy a one-row state to `rows` rows; the original stays usable."""
        return decoding.branch(self, state, rows)

    def extend(
        self,
        state: Any,
        ids: Tensor,
        lengths: Tensor,
        embeddings: TokenEmbeddings | None = None,
    ) -> Tensor:
        """Feed right-padded tokens to every row, in place, and return their states."""
        return decoding.extend(self, state, ids, lengths, embeddings)

    def reorder(self, state: Any, rows: Tensor) -> decoding.State:
        """Return the state with row b replaced by row `rows[b]`."""
        return decoding.reorder(self, state, rows)

    # Training

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen vision tower stays in eval.

        Batch statistics of a frozen tower (fast_vlm) must not move: it would differ when reloaded.
        """
        super().train(mode)
        towers = [self.model.get_submodule(name) for name in self.layout.towers()] if mode else []
        for tower in towers:
            if not any(parameter.requires_grad for parameter in tower.parameters()):
                tower.eval()
        return self

    def enable_gradient_checkpointing(self) -> None:
        """Recompute activations in the backward pass; works with frozen embeddings."""
        self.model.gradient_checkpointing_enable({"use_reentrant": False})

    def _is_checkpointing(self) -> bool:
        return bool(getattr(self.layout.decoder, "gradient_checkpointing", False))

    def self_check(self) -> str:
        """Choose `strategy` by comparing packed against separate runs; return the reason."""
        self.strategy, self.strategy_reason = check.choose(self)
        return self.strategy_reason

    def info(self) -> Mapping[str, str]:
        """Return what `tpo doctor` and model cards say about the backbone."""
        config = self.model.config
        return {
            "class": type(self.model).__name__,
            "model_type": config.model_type,
            "attention": str(config.get_text_config()._attn_implementation),
            "strategy": self.strategy,
            "reason": self.strategy_reason,
        }
