"""The adapter of VideoChat-TPO, whose decoder alone is transformers' own.

Shapes: B media items, T frames of S x S pixels, Q rows of a media item, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from tpo_backbones.generic.decoder_adapter import DecoderAdapter
from tpo_backbones.generic.layout import Layout
from tpo_backbones.generic.loading import use_tree_attention
from tpo_backbones.generic.tokens import give_rows
from tpo_backbones.generic.visual import Visual
from tpo_backbones.videochat.checkpoint import find, read_model, write_model
from tpo_backbones.videochat.config import MODEL_TYPE, PLACEHOLDER_ID
from tpo_backbones.videochat.frames import choose_middle_frames
from tpo_backbones.videochat.model import VideoChatModel
from tpo_backbones.videochat.prompt import VideoChatRenderer
from tpo_backbones.videochat.tokenizer import Tokenizer
from tpo_core.backbone import RenderedRecord
from tpo_core.errors import InputError
from tpo_core.media.types import Media


class VideoChatLayout(Layout):
    """Where the model's parts lie."""

    def towers(self) -> list[str]:
        """Return the names of the encoder and of the norm behind it, which was trained with it."""
        return ["vision_encoder", "vision_layernorm"]

    def linear_layers(self) -> list[str]:
        """Return the decoder's linear layers and the head.

        New rows of the head stay at the mean of the old ones here, so that its LoRA is what makes
        task tokens differ on output.
        """
        return [*super().linear_layers(), self.name_of(self.model.get_output_embeddings())]


class VideoChatAdapter(DecoderAdapter):
    """Serves the published VideoChat-TPO and models of its kind.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
    """

    model_types = (MODEL_TYPE,)
    choose_frames = choose_middle_frames
    model: VideoChatModel
    renderer: VideoChatRenderer

    def __init__(self, model: VideoChatModel, tokenizer: Tokenizer) -> None:
        super().__init__(
            model, VideoChatRenderer(tokenizer, model.settings), layout=VideoChatLayout(model)
        )

    @classmethod
    def load(
        cls,
        checkpoint: str,
        *,
        dtype: torch.dtype | None = None,
        attention: str = "auto",
        device: torch.device | str | None = None,
    ) -> Self:
        """Load weights and tokenizer from a folder, hub id or `"package:module/folder"`.

        Args:
            checkpoint: Where the model is, in the layout that `save` writes.
            dtype: Of the weights; by default as stored on a GPU, fp32 on a CPU.
            attention: `"auto"`, or the name of a transformers attention implementation.
            device: Where to put it; a CPU by default.

        Raises:
            InputError: If there is no such checkpoint, it is of another model, its files do not
                fit together, or the attention implementation cannot be used.
        """
        folder, where = find(checkpoint), torch.device(device or "cpu")
        if dtype is None and where.type == "cpu":
            dtype = torch.float32
        model, tokenizer = read_model(folder, dtype=dtype, device=where), Tokenizer.load(folder)
        if len(tokenizer) > (rows := model.settings.language.vocabulary):
            raise InputError(
                f"the tokenizer in {folder} has {len(tokenizer)} ids and the model embeds {rows}; "
                "they are of different models"
            )
        try:
            if attention == "auto":
                use_tree_attention(model)
            else:
                model.lm.set_attn_implementation(attention)
        except (ValueError, ImportError) as error:
            raise InputError(f"attention {attention!r} cannot be used: {error}") from error
        adapter = cls(model, tokenizer)
        adapter.self_check()
        return adapter

    @property
    def placeholder_ids(self) -> tuple[int, ...]:
        """The id whose rows the model replaces by visual rows."""
        return (PLACEHOLDER_ID,)

    def add_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Add tokens; new rows of input and output embeddings start as the mean of the old."""
        tokenizer = self.renderer.tokenizer
        known = len(tokenizer)
        ids = tokenizer.add(texts)
        if new := [index for index in ids if index >= known]:
            give_rows(self.model.lm, new, known=known)
        return ids

    def _encode(self, record: RenderedRecord) -> Visual:
        frames = record.inputs["pixel_values"]
        rows = self._rows(frames)[0]
        return Visual(
            modality="image" if frames.shape[1] == 1 else "video",
            rows=rows,
            counts=(len(rows),),
            is_sequence=False,
        )

    def _frame_groups(
        self, record: RenderedRecord, visual: Visual, media: Media
    ) -> tuple[Tensor, Media]:
        """Return the rows that each frame has as an image of its own.

        The rows of a video cannot be told apart by time: every query looks at all frames.
        """
        if media.kind == "image":
            return visual.rows[None], media
        shown = sorted(set(self.renderer.shown(media)))
        # A frame that was repeated stands at the end.
        frames = record.inputs["pixel_values"][0, : len(shown)]
        return self._rows(frames[:, None]), replace(media, times=media.times[shown])

    def _rows(self, frames: Tensor) -> Tensor:
        """Return `[B, Q, D]` for frames `[B, T, 3, S, S]`."""
        return self.model.encode(self._placed(frames))

    def _last_states(
        self, ids: Tensor, mask: Any, visual: Sequence[Visual], options: Mapping[str, Any]
    ) -> tuple[Tensor, Any]:
        rows = torch.cat([item.rows for item in visual]) if visual else None
        output = self.layout.decoder(
            inputs_embeds=self.model.embed(ids, rows), attention_mask=mask, **options
        )
        return output.last_hidden_state, output.past_key_values

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen vision encoder or Q-Former stays in eval, without dropout."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.model.qformer.parameters()):
            self.model.qformer.eval()
        return self

    def save(self, folder: str) -> None:
        """Write the model's own weights (safetensors), config and tokenizer."""
        write_model(self.model, Path(folder))
        self.save_processor(folder)

    def save_processor(self, folder: str) -> None:
        """Write the tokenizer, added tokens included."""
        self.renderer.tokenizer.save(Path(folder))

    def info(self) -> Mapping[str, str]:
        """Return what `tpo doctor` and model cards say about the backbone."""
        return {**super().info(), "model_type": MODEL_TYPE}
