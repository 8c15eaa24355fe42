"""Box arithmetic the heads share; boxes are `[..., 4]` xyxy, normalised."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss


def order_corners(boxes: Tensor) -> Tensor:
    """Swap coordinates where needed so that x1 <= x2 and y1 <= y2.

    Args:
        boxes: `[..., 4]` xyxy, possibly inverted.

    Returns:
        `[..., 4]`, well-ordered; gradients follow each coordinate to where it came from.
    """
    first, second = boxes[..., :2], boxes[..., 2:]
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=-1)


def giou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return 1 - GIoU of each pair (Rezatofighi et al., 2019), defined for inverted predictions.

    A prediction is compared by its ordered corners, so an inverted one is still pulled onto the
    target; that its corners have the right names is left to an L1 term beside this one.

    Args:
        predicted: `[N, 4]` xyxy, any order of corners, float32.
        target: `[N, 4]` xyxy, well-ordered, float32.

    Returns:
        `[N]` in [0, 2].
    """
    loss: Tensor = generalized_box_iou_loss(order_corners(predicted), target)
    return loss


def valid_giou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return upstream TPO's mean of 1 - GIoU: over well-ordered predictions alone, else 2.

    Args:
        predicted: `[N, 4]` xyxy, any order of corners, float32.
        target: `[N, 4]` xyxy, well-ordered, float32.

    Returns:
        A scalar in [0, 2]; the constant 2, without gradient, if every prediction is inverted.
    """
    valid = (predicted[:, 2:] >= predicted[:, :2]).all(-1)
    # Inverted rows are replaced before the loss, so that none of their gradients turns up as NaN.
    loss: Tensor = generalized_box_iou_loss(torch.where(valid[:, None], predicted, target), target)
    count = valid.sum()
    return torch.where(count > 0, (loss * valid).sum() / count.clamp(min=1), 2.0)
