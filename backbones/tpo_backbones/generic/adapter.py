"""The adapter for any transformers image-text-to-text model.

Shapes: L tokens of a packed batch, D hidden size, V vocabulary, B rows, l tokens of a row, N chosen
positions, A position axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from tpo_backbones.families import check_family, family_for
from tpo_backbones.family import Family
from tpo_backbones.generic import check, decoding, strategies
from tpo_backbones.generic.embeddings import replaced
from tpo_backbones.generic.layout import Layout
from tpo_backbones.generic.loading import load_config, load_model, load_processor
from tpo_backbones.generic.masks import TreeMasks
from tpo_backbones.generic.positions import Positions
from tpo_backbones.generic.render import TransformersRenderer
from tpo_backbones.generic.times import group_times
from tpo_backbones.generic.tokens import add_to_tokenizer, give_rows
from tpo_backbones.generic.visual import Visual, join
from tpo_core.backbone import (
    BackboneAdapter,
    GroupName,
    PackedTokens,
    RenderedRecord,
    Strategy,
    TokenEmbeddings,
)
from tpo_core.errors import InputError
from tpo_core.lora import base_state_dict
from tpo_core.media.types import FrameFeatures


class TransformersAdapter(BackboneAdapter):
    """Serves any model whose class follows the common layout of transformers.

    Args:
        model: A loaded model.
        processor: Its processor.

    Attributes:
        model_types: Those `config.model_type`s that a subclass serves; empty for any.
    """

    model_types: ClassVar[tuple[str, ...]] = ()
    model: Any
    renderer: TransformersRenderer

    def __init__(self, model: nn.Module, processor: Any) -> None:
        super().__init__()
        self.model = model
        self.processor = processor
        config = self.model.config
        check_family(config.model_type, self.model_types)
        self.family: Family = family_for(config.model_type)
        self.layout = Layout(model)
        text_config = config.get_text_config()
        self.hidden_size: int = text_config.hidden_size
        self.softcap: float | None = getattr(text_config, "final_logit_softcapping", None)
        self.positions = Positions(self.layout.features)
        self.masks = TreeMasks(model, text_type=self.family.text_type)
        self.shares_padded_cache = decoding.has_plain_cache(config)
        self.renderer = TransformersRenderer(processor, self.family)
        self.strategy: Strategy = "single"
        self.strategy_reason = "self_check has not run"

    @classmethod
    def load(
        cls,
        checkpoint: str,
        *,
        dtype: torch.dtype | None = None,
        attention: str = "auto",
        device: torch.device | str | None = None,
    ) -> Self:
        """Load weights and processor from a folder, hub id or `"package:module/folder"`.

        Args:
            checkpoint: Where the model is.
            dtype: Of the weights; by default as stored on a GPU, fp32 on a CPU.
            attention: `"auto"`, or the name of a transformers attention implementation.
            device: Where to put it; a CPU by default.

        Raises:
            InputError: If there is no such checkpoint, or its family is another or not supported.
        """
        config, place = load_config(checkpoint)
        check_family(config.model_type, cls.model_types)
        where = torch.device(device or "cpu")
        model = load_model(place, config, dtype=dtype, attention=attention, device=where)
        adapter = cls(model, load_processor(place))
        adapter.self_check()
        return adapter

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
    def placeholder_ids(self) -> tuple[int, ...]:
        """Ids whose rows the model replaces by visual features."""
        config = self.model.config
        names = ("image_token_id", "video_token_id", "image_token_index", "video_token_index")
        found = {getattr(config, name, None) for name in names}
        return tuple(sorted(index for index in found if index is not None))

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

    # Tokens

    def add_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Add tokens; new rows of input and output embeddings start as the mean of the old."""
        tokenizer = self.processor.tokenizer
        known, vocabulary = len(tokenizer), tokenizer.get_vocab()
        ids = add_to_tokenizer(tokenizer, texts)
        new = [index for index, text in zip(ids, texts, strict=True) if text not in vocabulary]
        if new:
            rows = give_rows(self.model, new, known=known)
            if rows:
                self.family.after_resize(self.model, rows)
        self.renderer.task_tokens_added(texts)
        return ids

    # Media

    def encode(self, records: Sequence[RenderedRecord]) -> list[Visual | None]:
        """Run vision tower and connector on each record's media; None for text."""
        return [self._encode(record) if record.inputs else None for record in records]

    def _encode(self, record: RenderedRecord) -> Visual:
        inputs = {name: self._placed(value) for name, value in record.inputs.items()}
        with nullcontext() if self.layout.trains_visual() else torch.no_grad():
            return self.family.encode(self.layout.features, inputs)

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
        media = record.media
        frames = len(media.times)
        groups = self.family.frame_groups(visual, record.inputs, frames)
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
        if visual:
            options["mm_encoder_outputs"] = join(
                visual, one_placeholder=self.family.one_placeholder
            )
        if self.masks.type_name:
            options[self.masks.type_name] = types
        with self.family.masked(self.layout.decoder, mask) as attention_mask:
            return self.layout.last_states(input_ids=ids, attention_mask=attention_mask, **options)

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

    def save(self, folder: str) -> None:
        """Write the model's own weights (safetensors), config and processor."""
        self.model.save_pretrained(folder, state_dict=base_state_dict(self.model))
        self.save_processor(folder)

    def save_processor(self, folder: str) -> None:
        """Write tokenizer, image and video processor."""
        self.processor.save_pretrained(folder)

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
