"""COCO run-length encoded masks, through pycocotools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tpo_core.records.schema import Rle


def run_lengths(counts: str | Sequence[int]) -> np.ndarray:
    """Return the lengths of the runs of an RLE: background, foreground, background, ...

    A compressed string holds each number in groups of five bits, least significant first, one
    character (plus 48) a group, bit 5 set where more follow; from the fourth number on it holds the
    difference to the number two before (COCO's maskApi.c, `rleFrString`).

    Raises:
        ValueError: If a string is cut off or holds other characters.
    """
    import numpy as np

    if not isinstance(counts, str):
        return np.asarray(counts, dtype=np.int64)
    codes = np.frombuffer(counts.encode("utf-8"), dtype=np.uint8).astype(np.int64) - 48
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("counts is no compressed COCO RLE string, or is cut off")
    last = np.flatnonzero(~codes & 32)
    first = np.concatenate([[0], last[:-1] + 1])
    widths = last - first + 1
    if widths.max() > 7:
        raise ValueError("counts holds a number of more than 35 bits; it is damaged")
    places = np.arange(len(codes)) - np.repeat(first, widths)
    numbers = np.add.reduceat((codes & 31) << (5 * places), first)
    numbers -= np.where(codes[last] & 16, np.int64(1) << (5 * widths), 0)
    # Undo the differences: of numbers 1, 3, 5, ... and of 2, 4, 6, ... separately; 0 stands alone.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def encode(mask: Tensor) -> dict[str, Any]:
    """Encode a bool `[H, W]` mask as `{"size": [H, W], "counts": str}`."""
    import numpy as np
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


def decode(rle: Mapping[str, Any] | Rle) -> Tensor:
    """Decode a COCO RLE (compressed string or uncompressed list) to a bool `[H, W]` mask."""
    import torch
    from pycocotools import mask as coco

    return torch.from_numpy(coco.decode(_compressed(rle))).bool()


def box_around(rle: Mapping[str, Any] | Rle) -> tuple[float, float, float, float] | None:
    """Return left, top, width and height in pixels of a mask's tight box; None if it is empty."""
    from pycocotools import mask as coco

    left, top, width, height = coco.toBbox(_compressed(rle)).tolist()
    return (left, top, width, height) if width else None


def _compressed(rle: Mapping[str, Any] | Rle) -> Any:
    """Return an RLE as pycocotools takes it."""
    from pycocotools import mask as coco

    fields = rle if isinstance(rle, Mapping) else rle.model_dump()
    height, width = fields["size"]
    counts = fields["counts"]
    if isinstance(counts, list):
        return coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": counts.encode("ascii")}
