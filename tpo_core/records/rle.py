"""COCO run-length encoded masks, through pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def encode(mask: Tensor) -> dict[str, Any]:
    """Encode a bool `[H, W]` mask as `{"size": [H, W], "counts": str}`."""
    import numpy as np
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


def decode(rle: Mapping[str, Any]) -> Tensor:
    """Decode a COCO RLE (compressed string or uncompressed list) to a bool `[H, W]` mask."""
    import torch
    from pycocotools import mask as coco

    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, list):
        compressed = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    else:
        compressed = {"size": [height, width], "counts": counts.encode("ascii")}
    return torch.from_numpy(coco.decode(compressed)).bool()
