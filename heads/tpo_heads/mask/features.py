"""Frames to SAM2's image features.

Shapes: B frames, S side of SAM2's square input, C width of its features, s = S / 16.
SAM2 is kept in float32 and out of autocast (its position tables collapse in bfloat16); only the
image encoder, where the time goes, may run in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as vision

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)

EncoderDtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageFeatures:
    """What SAM2's image encoder makes of B frames.

    Args:
        maps: From fine to coarse; each `[B, channels, height, width]`. The last, `[B, C, s, s]`, is
            the image embedding; the others feed the mask decoder's upscaling.
        positions: Position encodings of the same heights and widths, `[B, C, height, width]`.
    """

    maps: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]

    def take(self, rows: Tensor | Sequence[int]) -> ImageFeatures:
        """Return the features of the given frames, `[len(rows), ...]`; rows may repeat."""
        index = torch.as_tensor(rows, device=self.maps[0].device)
        return ImageFeatures(
            maps=tuple(feature[index] for feature in self.maps),
            positions=tuple(position[index] for position in self.positions),
        )

    def as_sequences(self) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """Return maps and positions as `[height * width, B, channels]`, and (height, width)s."""
        sizes = [(feature.shape[-2], feature.shape[-1]) for feature in self.maps]
        maps = [feature.flatten(2).permute(2, 0, 1) for feature in self.maps]
        positions = [position.flatten(2).permute(2, 0, 1) for position in self.positions]
        return maps, positions, sizes


def concatenate(parts: Sequence[ImageFeatures]) -> ImageFeatures:
    """Return the features of all frames of `parts`, in order."""
    levels = range(len(parts[0].maps))
    return ImageFeatures(
        maps=tuple(torch.cat([part.maps[level] for part in parts]) for level in levels),
        positions=tuple(torch.cat([part.positions[level] for part in parts]) for level in levels),
    )


def prepare_frames(frames: Tensor, *, image_size: int) -> Tensor:
    """Resize and normalise frames as SAM2's video predictor does.

    Args:
        frames: uint8 RGB `[B, 3, H, W]`.
        image_size: S.

    Returns:
        float32 `[B, 3, S, S]`; the aspect ratio is not kept.
    """
    resized = vision.resize(
        frames, [image_size, image_size], interpolation=InterpolationMode.BICUBIC, antialias=True
    )
    normalised: Tensor = vision.normalize(resized.float() / 255, list(IMAGE_MEAN), list(IMAGE_STD))
    return normalised


@torch.no_grad()
def encode_images(sam: Any, images: Tensor, *, dtype: EncoderDtype = "float32") -> ImageFeatures:
    """Run SAM2's image encoder.

    Args:
        sam: A `SAM2Base`.
        images: Prepared frames `[B, 3, S, S]` on SAM2's device.
        dtype: What the encoder computes in; features come out in float32.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
        encoded = sam.forward_image(images)
    maps = tuple(level.float() for level in encoded["backbone_fpn"][-sam.num_feature_levels :])
    # Asked again rather than cast back: inside autocast they were rounded to bfloat16.
    table = sam.image_encoder.neck.position_encoding
    return ImageFeatures(maps=maps, positions=tuple(table(level) for level in maps))


def iterate_features(
    sam: Any, frames: Iterable[Tensor], *, batch: int, dtype: EncoderDtype = "float32"
) -> Iterator[ImageFeatures]:
    """Yield the features of one frame after another, holding at most `batch` frames' at a time.

    Args:
        sam: A `SAM2Base`.
        frames: uint8 RGB `[3, H, W]` each, on any device; taken as they are needed.
        batch: How many frames go through the encoder together.
        dtype: See `encode_images`.
    """
    remaining = iter(frames)
    while chunk := list(islice(remaining, batch)):
        stacked = torch.stack(chunk).to(sam.device)
        images = prepare_frames(stacked, image_size=sam.image_size)
        features = encode_images(sam, images, dtype=dtype)
        for row in range(len(chunk)):
            yield features.take([row])
