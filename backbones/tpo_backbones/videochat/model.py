"""Vision encoder, Q-Former and Mistral as one module, with the published checkpoint's names.

Shapes: B items, T frames, S pixels of a side, Q queries, W width of the Q-Former, D hidden size,
L tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import MistralForCausalLM

from tpo_backbones.videochat.config import PLACEHOLDER_ID, VideoChatConfig
from tpo_backbones.videochat.qformer import QFormer
from tpo_backbones.videochat.vision import VisionEncoder


class VideoChatModel(nn.Module):
    """The multimodal LLM; it may be built on the meta device.

    Args:
        settings: Its sizes.

    Attributes:
        config: The language model's, which is what PEFT and the helpers of transformers ask for.
    """

    def __init__(self, settings: VideoChatConfig) -> None:
        super().__init__()
        self.settings = settings
        vision, bridge = settings.vision, settings.qformer
        self.vision_encoder = VisionEncoder(vision)
        self.vision_layernorm = nn.LayerNorm(vision.width, eps=1e-12)
        self.qformer = QFormer(bridge, vision_width=vision.width)
        # BERT's deviation; queries of one value would never part.
        self.query_tokens = nn.Parameter(0.02 * torch.randn(1, bridge.queries, bridge.width))
        self.extra_query_tokens = nn.Parameter(
            0.02 * torch.randn(1, bridge.extra_queries, bridge.width)
        )
        self.project_up = nn.Linear(bridge.width, settings.language.hidden_size)
        self.lm: Any = MistralForCausalLM(settings.language.mistral())
        self.config = self.lm.config

    def queries(self, frames: Tensor) -> Tensor:
        """Let the queries look at videos, or at images as videos of one frame.

        Args:
            frames: `[B, T, 3, S, S]`, normalised.

        Returns:
            `[B, Q, W]`.
        """
        vision = self.vision_layernorm(self.vision_encoder(frames).flatten(1, 2))
        asked = torch.cat([self.query_tokens, self.extra_query_tokens], 1)
        states: Tensor = self.qformer(asked.expand(len(frames), -1, -1), vision)
        return states

    def encode(self, frames: Tensor) -> Tensor:
        """Return the rows that fill the visual places, `[B, Q, D]`; see `queries`."""
        rows: Tensor = self.project_up(self.queries(frames))
        return rows

    def embed(self, input_ids: Tensor, visual: Tensor | None) -> Tensor:
        """Return input embeddings `[B, L, D]`.

        Args:
            input_ids: `[B, L]` long.
            visual: Rows for the visual places, in their order, `[number of places, D]`; None if
                there are none.
        """
        embeds: Tensor = self.get_input_embeddings()(input_ids)
        if visual is None:
            return embeds
        places = (input_ids == PLACEHOLDER_ID)[..., None]
        return embeds.masked_scatter(places, visual.to(embeds.dtype))

    def forward(
        self, input_ids: Tensor, *, pixel_values: Tensor | None = None, **options: Any
    ) -> Any:
        """Run the language model with its head on text and pixels.

        Args:
            input_ids: `[B, L]` long.
            pixel_values: `[B, T, 3, S, S]`, normalised; None without media.
            **options: What `MistralForCausalLM` takes besides ids.
        """
        visual = None if pixel_values is None else self.encode(pixel_values).flatten(0, 1)
        return self.lm(inputs_embeds=self.embed(input_ids, visual), **options)

    # What PEFT and the generic adapter ask of a model

    def get_decoder(self) -> Any:
        """Return the decoder without its head."""
        return self.lm.model

    def get_input_embeddings(self) -> Any:
        """Return the input embedding."""
        return self.lm.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """Return the language model's head."""
        return self.lm.get_output_embeddings()

    def gradient_checkpointing_enable(self, options: dict[str, Any]) -> None:
        """Recompute activations of the decoder (with options) and the vision encoder."""
        self.lm.gradient_checkpointing_enable(options)
        self.vision_encoder.recomputes = True
