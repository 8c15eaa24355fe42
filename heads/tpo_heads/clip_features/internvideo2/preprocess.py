"""From decoded frames to what the vision tower reads.

Shapes: T frames, H x W pixels, S pixels a side of the tower's frames.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.transforms import InterpolationMode, functional

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's


def resize_frames(frames: Tensor, *, size: int, antialias: bool = True) -> Tensor:
    """Resize frames to a square, bicubically, whatever their aspect.

    Args:
        frames: uint8 `[T, 3, H, W]`.
        size: S.
        antialias: Filter when shrinking, as torchvision >= 0.17 does by default; earlier versions,
            such as the one pinned by InternVideo, did not. Noise differs by up to 125 grey levels.

    Returns:
        uint8 `[T, 3, S, S]`, rounded half to even.
    """
    # Not transforms.v2, whose uint8 kernels round otherwise.
    resized: Tensor = functional.resize(
        frames, [size, size], InterpolationMode.BICUBIC, antialias=antialias
    )
    return resized


def normalise(frames: Tensor) -> Tensor:
    """Scale uint8 `[..., 3, S, S]` to 0..1 and normalise with ImageNet's mean and deviation."""
    normalised: Tensor = functional.normalize(frames.float() / 255, _MEAN, _STD)
    return normalised
