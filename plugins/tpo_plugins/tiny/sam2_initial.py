"""Initial weights from which a SAM2 learns the tiny world in minutes.

From sam2's own initial weights the decoder first segments every object and stays there for
thousands of steps, and the memory is never read. Each change below puts what is near first.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from typing import Any

import torch

from tpo_heads.mask.features import prepare_frames
from tpo_plugins.tiny.sam2_clips import clip_batches

_FREQUENCIES = (0.1, 0.6)
_LABELS = 0.3
_NEARNESS = 2.0


@torch.no_grad()
def initialise(sam: Any) -> None:
    """Let prompts attend to the picture where they point.

    Random positions get lower frequencies, since the grid has 8 cells a side instead of 64; label
    embeddings get smaller than the positions they are added to; and the attention between prompt
    and picture starts with equal query and key weights, so that equal positions match.

    Args:
        sam: A `SAM2Base` with fresh weights.
    """
    prompts, decoder = sam.sam_prompt_encoder, sam.sam_mask_decoder
    frequencies = prompts.pe_layer.positional_encoding_gaussian_matrix
    frequencies.mul_(torch.linspace(*_FREQUENCIES, frequencies.shape[1]))
    for embedding in (
        *prompts.point_embeddings,
        prompts.not_a_point_embed,
        prompts.no_mask_embed,
        decoder.mask_tokens,
        decoder.iou_token,
        decoder.obj_score_token,
    ):
        embedding.weight.mul_(_LABELS)
    transformer = decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        attention.q_proj.weight.mul_(_NEARNESS)
        attention.k_proj.weight.copy_(attention.q_proj.weight)


@torch.no_grad()
def initialise_memory(sam: Any, *, seed: int) -> None:
    """Let frames read memories of the same place, and otherwise change nothing yet.

    Equal biases of queries and keys turn, under rotary positions, into attention to near places;
    self-attention and MLP start at zero; and the last norm keeps the scale the decoder has learnt.

    Args:
        sam: A `SAM2Base` that has learnt single frames.
        seed: Seed of the frames on which that scale is measured.
    """
    for layer in sam.memory_attention.layers:
        for silent in (layer.self_attn.out_proj, layer.linear2):
            silent.weight.zero_()
            silent.bias.zero_()
        for projection in (layer.cross_attn_image.q_proj, layer.cross_attn_image.k_proj):
            projection.weight.div_(_NEARNESS)
            projection.bias.fill_(_NEARNESS)
    clips = next(clip_batches(seed=seed, media="video", clips=8, frames=3, objects=1))
    images = prepare_frames(clips.frames.flatten(0, 1), image_size=sam.image_size)
    embedding = sam.forward_image(images)["backbone_fpn"][-1] + sam.no_mem_embed.reshape(
        1, -1, 1, 1
    )
    sam.memory_attention.norm.weight.fill_(float(embedding.std(1).mean()))
