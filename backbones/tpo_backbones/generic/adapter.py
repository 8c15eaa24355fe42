"""The adapter for any transformers image-text-to-text model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from tpo_backbones.families import check_family, family_for
from tpo_backbones.family import Family
from tpo_backbones.generic.decoder_adapter import DecoderAdapter
from tpo_backbones.generic.layout import Layout
from tpo_backbones.generic.loading import load_config, load_model, load_processor
from tpo_backbones.generic.render import TransformersRenderer
from tpo_backbones.generic.tokens import add_to_tokenizer, give_rows
from tpo_backbones.generic.visual import Visual, join
from tpo_core.backbone import RenderedRecord
from tpo_core.lora import base_state_dict
from tpo_core.media.types import Media


class TransformersAdapter(DecoderAdapter):
    """Serves any model whose class follows the common layout of transformers.

    Args:
        model: A loaded model.
        processor: Its processor.

    Raises:
        InputError: If its family is another or not supported.
    """

    renderer: TransformersRenderer

    def __init__(self, model: nn.Module, processor: Any) -> None:
        config: Any = model.config
        check_family(config.model_type, self.model_types)
        family = family_for(config.model_type)
        super().__init__(
            model,
            TransformersRenderer(processor, family),
            layout=Layout(model),
            text_type=family.text_type,
        )
        self.processor = processor
        self.family: Family = family

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

    @property
    def placeholder_ids(self) -> tuple[int, ...]:
        """Ids whose rows the model replaces by visual features."""
        config = self.model.config
        names = ("image_token_id", "video_token_id", "image_token_index", "video_token_index")
        found = {getattr(config, name, None) for name in names}
        return tuple(sorted(index for index in found if index is not None))

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

    def _encode(self, record: RenderedRecord) -> Visual:
        inputs = {name: self._placed(value) for name, value in record.inputs.items()}
        return self.family.encode(self.layout.features, inputs)

    def _frame_groups(
        self, record: RenderedRecord, visual: Visual, media: Media
    ) -> tuple[Tensor, Media]:
        return self.family.frame_groups(visual, record.inputs, len(media.times)), media

    def _last_states(
        self, ids: Tensor, mask: Any, visual: Sequence[Visual], options: Mapping[str, Any]
    ) -> tuple[Tensor, Any]:
        if visual:
            joined = join(visual, one_placeholder=self.family.one_placeholder)
            options = {**options, "mm_encoder_outputs": joined}
        with self.family.masked(self.layout.decoder, mask) as attention_mask:
            return self.layout.last_states(input_ids=ids, attention_mask=attention_mask, **options)

    def save(self, folder: str) -> None:
        """Write the model's own weights (safetensors), config and processor."""
        self.model.save_pretrained(folder, state_dict=base_state_dict(self.model))
        self.save_processor(folder)

    def save_processor(self, folder: str) -> None:
        """Write tokenizer, image and video processor."""
        self.processor.save_pretrained(folder)
