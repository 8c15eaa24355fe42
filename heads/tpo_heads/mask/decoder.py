"""One frame, one prompt, one mask: SAM2's mask decoder with gradients to the prompt.

Shapes: N objects, C width of SAM2's prompts, s side of the image embedding, S = 16 s.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from tpo_heads.mask.features import ImageFeatures


def decode_masks(
    sam: Any, decoder: Any, features: ImageFeatures, sparse: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode one mask a prompt, without memory, as on SAM2's first prompted frame.

    The single-mask token is read directly: SAM2's switch to another token by stability is for
    inference and has no gradient.

    Args:
        sam: A `SAM2Base`.
        decoder: Its mask decoder, or a trained copy of it.
        features: Of N frames, one a prompt.
        sparse: Prompt embeddings `[N, 3, C]` float32.

    Returns:
        Mask logits `[N, 4 s, 4 s]` and the logit that the object is in the frame `[N]`.
    """
    encoder = sam.sam_prompt_encoder
    if sam.directly_add_no_mem_embed:
        embedding = features.maps[-1] + sam.no_mem_embed.reshape(1, -1, 1, 1)
    else:
        embedding = _attend_to_no_memory(sam, features)
    dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand_as(embedding)
    dtype = next(decoder.parameters()).dtype  # a trained copy is cast with the head
    masks, _, _, presence = decoder.predict_masks(
        image_embeddings=embedding.to(dtype),
        image_pe=encoder.get_dense_pe().to(dtype),
        sparse_prompt_embeddings=sparse.to(dtype),
        dense_prompt_embeddings=dense.to(dtype),
        repeat_image=False,
        high_res_features=[level.to(dtype) for level in features.maps[:-1]] or None,
    )
    return masks[:, 0].float(), presence[:, 0].float()


@torch.no_grad()
def _attend_to_no_memory(sam: Any, features: ImageFeatures) -> Tensor:
    maps, positions, sizes = features.as_sequences()
    conditioned: Tensor = sam._prepare_memory_conditioned_features(
        frame_idx=0,
        is_init_cond_frame=True,
        current_vision_feats=maps[-1:],
        current_vision_pos_embeds=positions[-1:],
        feat_sizes=sizes[-1:],
        output_dict={"cond_frame_outputs": {}, "non_cond_frame_outputs": {}},
        num_frames=1,
    )
    return conditioned


def trainable_copy(sam: Any) -> nn.Module:
    """Return a copy of SAM2's mask decoder in which what `decode_masks` uses requires gradients.

    The rest (candidate masks, their quality, and the projections that belong to the image features)
    stays frozen, so that data-parallel training finds no parameter without a gradient.
    """
    decoder = copy.deepcopy(sam.sam_mask_decoder)
    decoder.requires_grad_(True)
    unused = [f"output_hypernetworks_mlps.{index}." for index in range(1, decoder.num_mask_tokens)]
    unused += ["iou_prediction_head.", "conv_s0.", "conv_s1."]
    for name, parameter in decoder.named_parameters():
        if name.startswith(tuple(unused)):
            parameter.requires_grad_(False)
    module: nn.Module = decoder
    return module
