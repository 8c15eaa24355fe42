"""Frames as the vision encoder takes them.

Shapes: T frames, H and W pixels of a frame, S pixels of a side afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def pixel_values(frames: Tensor, *, size: int) -> Tensor:
    """Resize frames to a square, whatever their shape was, and normalise them.

    Args:
        frames: `[T, 3, H, W]` uint8 RGB.
        size: S.

    Returns:
        `[T, 3, S, S]` float32.
    """
    square = resize(frames, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True)
    return normalised(square)


def normalised(frames: Tensor) -> Tensor:
    """Return uint8 RGB frames `[..., 3, S, S]` as float32 with ImageNet's mean and deviation."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (_MEAN, _STD))
    return (frames.float() / 255 - mean) / std
