"""The vision tower of InternVideo2-CLIP (Wang et al., ECCV 2024): from a clip to one vector.

Parameter names are upstream's, so released weights load as they are.

Shapes: B clips, T frames of S x S pixels, t = T / tubelet time steps, g = S / patch grid side,
L = 1 + t g^2 tokens, C width, H heads, E = C / H, D width of a clip's feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_core.errors import InputError
from tpo_heads.clip_features.internvideo2.layers import (
    Attention,
    AttentionPool,
    LayerScale,
    Mlp,
    RMSNorm,
)
from tpo_heads.clip_features.internvideo2.positions import average_over_time, sine_table


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionSettings:
    """Sizes of a vision tower; the defaults are the 1B model's.

    Args:
        width: C, a multiple of 16 and of `heads`.
        depth: Blocks.
        heads: H.
        mlp_ratio: Width of a block's MLP over C, rounded down.
        pool_heads: Heads of the attention pooling.
        clip_dim: D.
        image_size: S.
        patch_size: Pixels a side of a patch; divides S.
        frames: T.
        tubelet: Frames of a patch; divides T.
        gelu: `"exact"` as in TPO, or `"tanh"`, what the official fused MLP computes.
        layer_scale_fp32: Multiply by LayerScale in float32.

    Raises:
        InputError: If sizes do not divide as they must.
    """

    width: int = 1408
    depth: int = 40
    heads: int = 16
    mlp_ratio: float = 48 / 11
    pool_heads: int = 16
    clip_dim: int = 768
    image_size: int = 224
    patch_size: int = 14
    frames: int = 8
    tubelet: int = 1
    gelu: Literal["exact", "tanh"] = "exact"
    layer_scale_fp32: bool = False

    def __post_init__(self) -> None:
        for name, value, divisor in (
            ("width", self.width, 16),
            ("width", self.width, self.heads),
            ("width", self.width, self.pool_heads),
            ("image_size", self.image_size, self.patch_size),
            ("frames", self.frames, self.tubelet),
        ):
            if divisor < 1 or value < 1 or value % divisor:
                raise InputError(
                    f"InternVideo2 vision setting {name} is {value}; expected a multiple of "
                    f"{divisor}"
                )
        if self.gelu not in ("exact", "tanh"):
            raise InputError(
                f"InternVideo2 vision setting gelu is {self.gelu!r}; expected 'exact' or 'tanh'"
            )

    @property
    def steps(self) -> int:
        """Time steps t."""
        return self.frames // self.tubelet

    @property
    def side(self) -> int:
        """Grid side g."""
        return self.image_size // self.patch_size


VISION_PRESETS = {
    "1B": VisionSettings(),
    "6B": VisionSettings(width=3200, depth=48, heads=25, mlp_ratio=4.0),
}


class VisionTower(nn.Module):
    """Encodes clips; the features are not L2-normalised."""

    def __init__(self, settings: VisionSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or VisionSettings()
        width = settings.width
        self.patch_embed = PatchEmbed(settings)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(sine_table(width, steps=settings.steps, side=settings.side))
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.depth))
        self.clip_projector = AttentionPool(width, heads=settings.pool_heads, out=settings.clip_dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode B clips.

        Args:
            frames: `[B, T, 3, S, S]`, ImageNet-normalised; cast to the weights' dtype. One frame
                (T = 1) is encoded as a still picture.

        Returns:
            `[B, D]`.

        Raises:
            InputError: If the frames have another shape.
        """
        size = self.settings.image_size
        still = frames.ndim == 5 and frames.shape[1] == self.settings.tubelet == 1
        expected = (1 if still else self.settings.frames, 3, size, size)
        if frames.ndim != 5 or frames.shape[1:] != expected:
            raise InputError(
                f"InternVideo2 got clips of shape {list(frames.shape)}; expected "
                f"[B, {self.settings.frames}, 3, {size}, {size}], or one frame a clip"
            )
        patches = self.patch_embed(frames.to(self.cls_token.dtype))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        x = x + (
            average_over_time(self.pos_embed, steps=self.settings.steps)
            if still
            else self.pos_embed
        )
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.clip_projector(x)
        return features


class PatchEmbed(nn.Module):
    """Cuts clips into patches and embeds them, time outermost."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        kernel = (settings.tubelet, settings.patch_size, settings.patch_size)
        self.proj = nn.Conv3d(3, settings.width, kernel_size=kernel, stride=kernel)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed `[B, T, 3, S, S]` as `[B, t g^2, C]`."""
        tubelet, *patch = self.proj.kernel_size
        # A tubelet's frames are seen once, so they may as well be channels of one picture: kernels
        # for 2-D convolution are fast on every device and in every dtype, those for 3-D are not.
        tubelets = torch.unflatten(frames, 1, (-1, tubelet)).transpose(2, 3)
        pictures = tubelets.flatten(2, 3).flatten(0, 1)
        weight = self.proj.weight.flatten(1, 2)
        grids = F.conv2d(pictures, weight, self.proj.bias, stride=patch)  # [B t, C, g, g]
        tokens = grids.flatten(2).transpose(1, 2)
        return tokens.reshape(len(frames), -1, tokens.shape[-1])


class Block(nn.Module):
    """Pre-norm attention and MLP, each branch scaled channel by channel."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        width = settings.width
        self.norm1 = RMSNorm(width)
        self.attn = Attention(width, heads=settings.heads)
        self.ls1 = LayerScale(width, fp32=settings.layer_scale_fp32)
        self.norm2 = RMSNorm(width)
        self.mlp = Mlp(width, hidden=int(width * settings.mlp_ratio), gelu=settings.gelu)
        self.ls2 = LayerScale(width, fp32=settings.layer_scale_fp32)

    def forward(self, x: Tensor) -> Tensor:
        """Mix `[B, L, C]`."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        mixed: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return mixed
