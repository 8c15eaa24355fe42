"""CG-DETR (Moon et al., arXiv 2311.08835) with a task token's state as one more word, as in TPO.

Parameter names are upstream's: `cg_model.*` of its released checkpoint loads strictly.

Shapes: B samples, Lv clips, Lt words, K = dummies + words + 1, Q queries, d width, C and Dt widths
of clip and text rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_heads.temporal_cgdetr.encoder import Encoder
from tpo_heads.temporal_cgdetr.layers import (
    MLP,
    InputLayer,
    clip_positions,
    input_projection,
    inverse_sigmoid,
)
from tpo_heads.temporal_cgdetr.outputs import (
    CGDETROutputs,
    MomentOutputs,
    Negatives,
    Prediction,
    ProjectedInputs,
)
from tpo_heads.temporal_cgdetr.prompt import insert_prompt
from tpo_heads.temporal_cgdetr.settings import TEXT_HEADS, CGDETRSettings
from tpo_heads.temporal_cgdetr.transformer import Memory, Transformer

_TEXT, _VIDEO = 0, 1  # token types
_MAX_WORDS = 100  # rows of the position table that upstream keeps but never reads


class _WordPositions(nn.Module):
    """Upstream's learned word positions, kept for its checkpoint only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(_MAX_WORDS, width)
        self.LayerNorm = nn.LayerNorm(width)


class CGDETR(nn.Module):
    """Proposes spans of a video that a text and a task token's state ask about.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CGDETRSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.hidden_dim
        self.transformer = Transformer(settings)
        self.span_embed = MLP(width, width, width, 2)
        self.class_embed = nn.Linear(width, 2)
        self.token_type_embeddings = nn.Embedding(2, width)
        nn.init.normal_(self.token_type_embeddings.weight, std=0.02)
        self.query_embed = nn.Embedding(settings.num_queries, 2)
        dropout = settings.input_dropout
        self.input_txt_proj = input_projection(settings.t_feat_dim, width, dropout=dropout)
        self.input_vid_proj = input_projection(settings.v_feat_dim, width, dropout=dropout)
        self.saliency_proj1 = nn.Linear(width, width)
        self.saliency_proj2 = nn.Linear(width, width)
        self.global_rep_token = nn.Parameter(torch.randn(settings.total_prompts, width))
        self.global_rep_pos = nn.Parameter(torch.randn(1, width))
        self.moment_rep_token = nn.Parameter(torch.randn(width))
        self.moment_rep_pos = nn.Parameter(torch.randn(width))
        self.dummy_rep_token = nn.Parameter(torch.randn(settings.num_dummies, width))
        self.dummy_rep_pos = nn.Parameter(torch.randn(settings.num_dummies, width))
        self.sent_rep_token = nn.Parameter(torch.randn(width))
        self.sent_rep_pos = nn.Parameter(torch.randn(width))
        self.txtproj_encoder = Encoder(settings, layers=settings.dummy_layers, heads=TEXT_HEADS)
        self.scls_encoder = Encoder(settings, layers=settings.sent_layers, heads=TEXT_HEADS)
        # In upstream's checkpoint, used by nothing.
        self.txt_position_embed = _WordPositions(width).requires_grad_(False)
        self.txt_proj_linear = InputLayer(
            settings.t_feat_dim, width, dropout=settings.dropout, relu=True
        ).requires_grad_(False)

    def forward(
        self, video: Tensor, video_valid: Tensor, text: Tensor, text_valid: Tensor, prompt: Tensor
    ) -> CGDETROutputs:
        """Propose spans.

        Args:
            video: `[B, Lv, C]`, clip features with the two time columns.
            video_valid: `[B, Lv]` bool; at least one True a row, True first.
            text: `[B, Lt, Dt]`; Lt may be 0.
            text_valid: `[B, Lt]` bool, True first.
            prompt: `[B, Dt]`, the task token's state.
        """
        inputs = self.project(video, video_valid, text, text_valid, prompt)
        memory = self._encode(inputs)
        states, anchors = self.transformer.decoder(
            self.query_embed.weight, memory.clips, inputs.video_position, inputs.video_valid
        )
        logits = self.class_embed(states).float()
        spans = (self.span_embed(states).float() + inverse_sigmoid(anchors)).sigmoid()
        return CGDETROutputs(
            predictions=tuple(
                Prediction(logits=one, spans=two) for one, two in zip(logits, spans, strict=True)
            ),
            saliency=self._saliency(memory),
            attention=memory.attention.float(),
            relevance=self._relevance(memory, inputs.text_valid),
            inputs=inputs,
        )

    def project(
        self, video: Tensor, video_valid: Tensor, text: Tensor, text_valid: Tensor, prompt: Tensor
    ) -> ProjectedInputs:
        """Project both inputs and put the dummies in context; see `forward`."""
        words, word_valid = insert_prompt(text, text_valid, prompt)
        video = self.input_vid_proj(video) + self.token_type_embeddings.weight[_VIDEO]
        words = self.input_txt_proj(words) + self.token_type_embeddings.weight[_TEXT]
        count = self.settings.num_dummies
        position = F.pad(self.dummy_rep_pos, (0, 0, 0, words.shape[1]))[None]
        valid = F.pad(word_valid, (count, 0), value=True)
        dummies = self.dummy_rep_token.expand(len(words), -1, -1)
        context = self.txtproj_encoder(torch.cat([dummies, words], dim=1), valid, position)
        return ProjectedInputs(
            video=video,
            video_valid=video_valid,
            video_position=clip_positions(video_valid, video.shape[-1]).to(video.dtype),
            text=torch.cat([context[:, :count], words], dim=1),
            text_valid=valid,
            text_position=position,
            num_dummies=count,
        )

    def moments(self, inputs: ProjectedInputs, relevant: Tensor) -> MomentOutputs:
        """Encode what training aligns: the moment and the rest, the sentence and the dummies.

        Args:
            inputs: Of a forward pass.
            relevant: `[B, Lv]` bool, the clips of the moment.
        """
        count = self.settings.num_dummies
        sentence, words = self._sentence(inputs, slice(count, None))
        dummy_sentence, dummies = self._sentence(inputs, slice(0, count))
        valid = inputs.video_valid
        seen: list[tuple[Tensor, Tensor]] = []
        for clips in (valid & relevant, valid & ~relevant):
            encoded = self.transformer.mcls_encoder(
                _prepend(self.moment_rep_token, inputs.video),
                F.pad(clips, (1, 0), value=True),
                _prepend(self.moment_rep_pos, inputs.video_position),
            )
            seen.append((encoded[:, 0], encoded[:, 1:]))
        (moment, inside), (rest, outside) = seen
        similarity = inside @ torch.cat([dummies, words], dim=1).transpose(1, 2)
        return MomentOutputs(
            moment=moment.float(),
            rest=rest.float(),
            sentence=sentence.float(),
            dummy_sentence=dummy_sentence.float(),
            similarity=similarity.float(),
            clips=torch.where(relevant[..., None], inside, outside).float(),
        )

    def negatives(self, inputs: ProjectedInputs, video_ids: Sequence[str]) -> Negatives | None:
        """Ask about each video with the text of the next sample, if that is another video's.

        Args:
            inputs: Of a forward pass.
            video_ids: One a sample.

        Returns:
            None if no sample has another video next to it.
        """
        following = [*video_ids[1:], *video_ids[:1]]
        real = [one != two for one, two in zip(video_ids, following, strict=True)]
        if not any(real):
            return None
        device = inputs.video.device
        rows = torch.tensor([row for row, is_real in enumerate(real) if is_real], device=device)
        text_valid = inputs.text_valid.roll(-1, 0)[rows]
        memory = self._encode(
            replace(
                inputs,
                video=inputs.video[rows],
                video_valid=inputs.video_valid[rows],
                video_position=inputs.video_position[rows],
                text=inputs.text.roll(-1, 0)[rows],
                text_valid=text_valid,
            )
        )
        return Negatives(
            real=torch.tensor(real, device=device),
            saliency=self._saliency(memory),
            relevance=self._relevance(memory, text_valid),
        )

    def _encode(self, inputs: ProjectedInputs) -> Memory:
        return self.transformer.encode(inputs, self.global_rep_token, self.global_rep_pos)

    def _saliency(self, memory: Memory) -> Tensor:
        clips, whole = self.saliency_proj1(memory.clips), self.saliency_proj2(memory.whole)
        scores: Tensor = (clips * whole[:, None]).sum(-1)
        return scores.float() / math.sqrt(self.settings.hidden_dim)

    def _relevance(self, memory: Memory, text_valid: Tensor) -> Tensor:
        count = self.settings.num_dummies
        words = memory.attention[..., count:] * text_valid[:, None, count:]
        return words.sum(-1).float().clamp(0, 1)

    def _sentence(self, inputs: ProjectedInputs, part: slice) -> tuple[Tensor, Tensor]:
        """Return `[B, d]`, the sentence token after seeing a part of the text, and that part."""
        encoded = self.scls_encoder(
            _prepend(self.sent_rep_token, inputs.text[:, part]),
            F.pad(inputs.text_valid[:, part], (1, 0), value=True),
            _prepend(self.sent_rep_pos, inputs.text_position[:, part]),
        )
        return encoded[:, 0], encoded[:, 1:]


def _prepend(token: Tensor, rows: Tensor) -> Tensor:
    """Put a token `[d]` before the rows of `[B, L, d]`."""
    return torch.cat([token.to(rows.dtype).expand(len(rows), 1, -1), rows], dim=1)
