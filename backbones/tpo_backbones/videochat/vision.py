"""UMT-L, the encoder of videos and images: attention over all patches of all frames at once.

Its modules have the names of the published checkpoint.

Shapes: B items, T frames, S pixels of a side, G patches of a side, L = G * G patches of a frame,
C width, H heads, N = T * L patches of an item, E head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# The grid that the position table was made for in pretraining.
_FRAMES, _SIZE, _GRID = 4, 224, 14


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """The encoder's sizes; the defaults are those of the published model.

    Args:
        image_size: S.
        patch_size: Pixels of a patch's side.
        tubelet_size: Frames of a patch.
        width: C.
        heads: H.
        depth: Blocks of the model it was cut from, over which drop-path rises.
        return_index: Which of those blocks gives the output; later ones are not built.
        drop_path: Drop-path rate of the last of those blocks.
    """

    image_size: int = 224
    patch_size: int = 16
    tubelet_size: int = 1
    width: int = 1024
    heads: int = 16
    depth: int = 24
    return_index: int = -2
    drop_path: float = 0.0

    @property
    def grid(self) -> int:
        """G."""
        return self.image_size // self.patch_size


class VisionEncoder(nn.Module):
    """Encodes frames; there is no class token and no final norm.

    Args:
        config: Its sizes.

    Attributes:
        recomputes: Whether blocks are run again in the backward pass to save memory.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes = False
        tubelet = (config.tubelet_size, config.patch_size, config.patch_size)
        rates = torch.linspace(0, config.drop_path, config.depth, device="cpu").tolist()
        built = rates[: config.return_index % config.depth + 1]
        self.encoder = nn.ModuleDict(
            {
                "patch_embed": nn.ModuleDict(
                    {"proj": nn.Conv3d(3, config.width, kernel_size=tubelet, stride=tubelet)}
                ),
                "blocks": nn.ModuleList(Block(config.width, config.heads, rate) for rate in built),
            }
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Encode videos, or images as videos of one frame.

        Args:
            frames: `[B, T, 3, S, S]`, normalised.

        Returns:
            `[B, T, L, C]`.
        """
        size, grid = self.config.image_size, self.config.grid
        assert frames.shape[-2:] == (size, size), f"frames of {list(frames.shape)}, not of {size}"
        patches = self.encoder["patch_embed"]["proj"](frames.transpose(1, 2))  # type: ignore[index]
        x = patches.flatten(2).transpose(1, 2)
        times = x.shape[1] // grid**2
        x = x + position_table(
            times, grid, x.shape[-1], resized=size != _SIZE, device=x.device, dtype=x.dtype
        )
        for block in self.encoder["blocks"]:  # type: ignore[attr-defined]  # a module list
            if self.recomputes and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        encoded: Tensor = x.view(len(x), times, grid**2, -1)
        return encoded


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a norm.

    Args:
        width: C.
        heads: H.
        drop_path: Share of samples that skip a branch in training.
    """

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.norm1 = norm(width)
        self.attn = Attention(width, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm(width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, N, C]` to the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        summed: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return summed


class Attention(nn.Module):
    """Self-attention whose queries and values have a bias each, and whose keys have none.

    Args:
        width: C.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, N, C]` to the same shape."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).view(*x.shape[:2], 3, self.heads, -1)
        q_BHNE, k_BHNE, v_BHNE = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q_BHNE, k_BHNE, v_BHNE)
        projected: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return projected


@lru_cache(maxsize=8)
@torch.no_grad()
def position_table(
    frames: int,
    grid: int,
    width: int,
    *,
    resized: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return the fixed positions of a video's patches, or an image's: they are no weights.

    Pretraining numbered the patches of four frames one after another, so the table is stretched
    from there: in space from 14 x 14 patches, in time from 4 frames. A single frame has a table of
    its own, which is that of the first frame.

    Args:
        frames: T.
        grid: G.
        width: C.
        resized: Whether S is not 224, the only size whose grid is taken as it is.
        device: Where to keep the table.
        dtype: Its type.

    Returns:
        `[T * L, C]`.
    """
    base_grid = _GRID if resized else grid
    base_frames = 1 if frames == 1 else _FRAMES
    table = _sinusoid(base_frames * base_grid**2, width).view(base_frames, base_grid, base_grid, -1)
    if base_grid != grid:
        by_channel = table.permute(0, 3, 1, 2)
        by_channel = F.interpolate(by_channel, size=(grid, grid), mode="bicubic")
        table = by_channel.permute(0, 2, 3, 1)
    by_time = table.flatten(1)
    if base_frames != frames:
        by_time = F.interpolate(by_time.T[None], size=frames, mode="linear")[0].T
    return by_time.reshape(frames * grid**2, width).to(device, dtype)


def _sinusoid(rows: int, width: int) -> Tensor:
    """Return sines in even and cosines in odd columns, base 10000, `[rows, width]` float32."""
    column = torch.arange(width, device="cpu")
    rate = 10000.0 ** (2 * (column // 2) / width).double()
    angles = torch.arange(rows, device="cpu").double()[:, None] / rate
    return torch.where(column % 2 == 0, angles.sin(), angles.cos()).float()
