"""Running SAM2 over clips with gradients through its memory, and its losses.

Shapes: B clips of T frames, K objects, h x w SAM2's mask resolution.
"""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tpo_heads.mask.features import ImageFeatures, prepare_frames
from tpo_plugins.tiny.sam2_clips import Clips

_BCE, _DICE, _QUALITY, _PRESENCE = 5.0, 5.0, 1.0, 1.0
_LOGIT_RANGE = 30.0  # SAM2 writes -1024 where it thinks that the object is absent


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipOutputs:
    """What SAM2 says about K objects on T frames.

    Args:
        logits: `[K, T, h, w]`.
        quality: Predicted IoU `[K, T]`.
        presence: Logit that the object is there `[K, T]`.
    """

    logits: Tensor
    quality: Tensor
    presence: Tensor


def unroll(sam: Any, clips: Clips) -> ClipOutputs:
    """Prompt SAM2 on the first frames and follow the objects; gradients flow through its memory.

    Args:
        sam: A `SAM2Base` in training mode.
        clips: The clips.
    """
    length = clips.frames.shape[1]
    images = prepare_frames(clips.frames.flatten(0, 1), image_size=sam.image_size)
    encoded = sam.forward_image(images)
    features = ImageFeatures(
        maps=tuple(encoded["backbone_fpn"]), positions=tuple(encoded["vision_pos_enc"])
    )
    memory: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    logits, quality, presence = [], [], []
    for time in range(length):
        maps, positions, sizes = features.take(clips.clip * length + time).as_sequences()
        first = time == 0
        points = {"point_coords": clips.coords * sam.image_size, "point_labels": clips.labels}
        output, heads, _, _ = sam._track_step(
            frame_idx=time,
            is_init_cond_frame=first,
            current_vision_feats=maps,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=points if first else None,
            mask_inputs=None,
            output_dict=memory,
            num_frames=max(length, sam.max_obj_ptrs_in_encoder),
            track_in_reverse=False,
            prev_sam_mask_logits=None,
        )
        _, _, ious, low_res_masks, high_res_masks, pointer, score = heads
        output["obj_ptr"] = pointer
        sam._encode_memory_in_output(
            maps, sizes, points if first else None, time + 1 < length, high_res_masks, score, output
        )
        memory["cond_frame_outputs" if first else "non_cond_frame_outputs"][time] = output
        logits.append(low_res_masks[:, 0])
        quality.append(ious[:, 0])
        presence.append(score[:, 0])
    return ClipOutputs(
        logits=torch.stack(logits, 1),
        quality=torch.stack(quality, 1),
        presence=torch.stack(presence, 1),
    )


def clip_loss(outputs: ClipOutputs, masks: Tensor) -> tuple[Tensor, float]:
    """Cross-entropy and dice of masks, L1 of predicted IoU, cross-entropy of presence.

    As SAM2 is trained, masks and IoU count only on frames that show the object; cross-entropy
    stands in for focal loss.

    Args:
        outputs: What SAM2 says.
        masks: bool `[K, T, H, W]`.

    Returns:
        The loss, and the mean IoU on frames that show the object.
    """
    visible = masks.flatten(2).any(2)
    truth = masks[visible].float()
    logits = outputs.logits[visible][:, None].clamp(-_LOGIT_RANGE, _LOGIT_RANGE)
    logits = functional.interpolate(logits, size=truth.shape[-2:], mode="bilinear")[:, 0]
    probability = logits.sigmoid()
    overlap = (probability * truth).sum((1, 2))
    dice = 1 - (2 * overlap + 1) / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1)
    found = logits.detach() > 0
    shown = truth > 0
    iou = (found & shown).sum((1, 2)) / (found | shown).sum((1, 2)).clamp(min=1)
    loss = (
        _BCE * functional.binary_cross_entropy_with_logits(logits, truth)
        + _DICE * dice.mean()
        + _QUALITY * (outputs.quality[visible] - iou).abs().mean()
        + _PRESENCE * functional.binary_cross_entropy_with_logits(outputs.presence, visible.float())
    )
    return loss, float(iou.mean())
