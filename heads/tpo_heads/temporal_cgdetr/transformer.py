"""From projected clips and text to a memory of relevant clips, and to span queries.

Shapes: B samples, Lv clips, K = dummies + words, P global prompts, Q queries, d width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_heads.temporal_cgdetr.decoder import Decoder
from tpo_heads.temporal_cgdetr.encoder import Encoder, TextToVideoEncoder, upstream_allowed
from tpo_heads.temporal_cgdetr.outputs import ProjectedInputs
from tpo_heads.temporal_cgdetr.settings import CGDETRSettings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Memory:
    """What the encoder makes of clips and text.

    Args:
        clips: `[B, Lv, d]`, the global token added.
        whole: `[B, d]`, the global token.
        attention: `[B, Lv, K]`.
    """

    clips: Tensor
    whole: Tensor
    attention: Tensor


class Transformer(nn.Module):
    """Text-to-video attention, the global token, encoder and decoder.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__()
        self.num_dummies, self.num_prompts = settings.num_dummies, settings.num_prompts
        self.crossed_masks = settings.crossed_masks
        heads = self.heads = settings.nheads
        self.mcls_encoder = Encoder(settings, layers=settings.moment_layers, heads=heads)
        self.t2v_encoder = TextToVideoEncoder(settings)
        self.encoder = Encoder(settings, layers=settings.enc_layers, heads=heads)
        self.decoder = Decoder(settings)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def encode(self, inputs: ProjectedInputs, prompts: Tensor, prompt_position: Tensor) -> Memory:
        """Find which clips the text is about, and mix them.

        Args:
            inputs: Clips and text.
            prompts: `[P, d]`, global tokens.
            prompt_position: `[1, d]`.
        """
        allowed = inputs.text_valid[:, None, None]
        if self.crossed_masks:
            allowed = upstream_allowed(inputs.video_valid, inputs.text_valid, self.heads)
        read, attention = self.t2v_encoder(
            inputs.video,
            inputs.video_position,
            inputs.text,
            inputs.text + inputs.text_position,
            allowed,
        )
        token = self.t2v_encoder.without_text(self._global_token(inputs, attention, prompts))
        position = prompt_position.to(token.dtype).expand_as(token)
        memory = self.encoder(
            torch.cat([token, read], dim=1),
            F.pad(inputs.video_valid, (1, 0), value=True),
            torch.cat([position, inputs.video_position], dim=1),
        )
        whole = memory[:, 0]
        return Memory(clips=memory[:, 1:] + whole[:, None], whole=whole, attention=attention)

    def _global_token(self, inputs: ProjectedInputs, attention: Tensor, prompts: Tensor) -> Tensor:
        """Return `[B, 1, d]`: the mean clip, plus the prompts nearest to what stands out.

        Clips count for the choice as much as they attended to words, without a gradient.
        """
        valid = inputs.video_valid[..., None].to(inputs.video.dtype)
        mean = ((inputs.video * valid).sum(1, keepdim=True) / valid.sum(1, keepdim=True)).detach()
        # In a still video nothing is apart; a smaller floor would blow its rounding's gradient up.
        apart = F.normalize(inputs.video - mean, dim=-1, eps=1e-2)
        likeness = (apart @ F.normalize(prompts, dim=-1).T).softmax(-1)
        importance = (attention[..., self.num_dummies :].sum(-1, keepdim=True) * valid).detach()
        # The floor keeps a video none of whose clips attended to a word from dividing by zero.
        share = importance / importance.sum(1, keepdim=True).clamp(min=1e-12)
        # Stable, since nothing stands out in a video of one clip, and all prompts are as good.
        ranked, order = (likeness * share).sum(1).sort(dim=-1, descending=True, stable=True)
        value, chosen = ranked[:, : self.num_prompts], order[:, : self.num_prompts]
        return mean + (value[..., None] * prompts[chosen]).sum(1, keepdim=True)
