"""Masks as datasets release them, as the frames of a `<mask>` target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tpo_core.errors import InputError
from tpo_core.records.rle import run_lengths
from tpo_core.records.schema import Rle
from tpo_core.records.targets import record_error
from tpo_plugins.datasets.boxes import Box, Size, from_xywh

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mask = dict[str, Any]
"""A COCO RLE `{"size": [height, width], "counts": str}`."""


def read_rle(item: Any, *, size: Size | None = None) -> Mask:
    """Check a run-length encoded mask, which pycocotools does not.

    Args:
        item: `{"size": [height, width], "counts": compressed string or list of runs}`.
        size: The size of the image or video, if it is known.

    Raises:
        InputError: If it is no such mask, is damaged, or is of another size.
    """
    try:
        rle = Rle.model_validate(item)
    except ValidationError as error:
        found = record_error(error)
        where = f"{found.field}: " if found.field else ""
        raise InputError(f"the mask cannot be used: {where}{found.reason}") from error
    if size is not None and rle.size != size:
        raise InputError(
            f"the mask is {rle.size[0]} x {rle.size[1]} (height x width) but the picture is "
            f"{size[0]} x {size[1]}; expected masks at the size of the picture"
        )
    if isinstance(rle.counts, list):
        return _compress(rle.counts, rle.size)
    return {"size": list(rle.size), "counts": rle.counts}


def empty(size: Size) -> Mask:
    """Return the mask of an object that is not visible."""
    return _compress([size[0] * size[1]], size)


def area(mask: Mask) -> int:
    """Return how many pixels a checked mask covers."""
    return int(run_lengths(mask["counts"])[1::2].sum())


def union(masks: Sequence[Mask]) -> Mask:
    """Return the pixels that any of some checked masks covers.

    Raises:
        InputError: If they are of several sizes.
    """
    from pycocotools import mask as coco

    if len({tuple(mask["size"]) for mask in masks}) > 1:
        raise InputError(f"masks of one picture are {[mask['size'] for mask in masks]} in size")
    if len(masks) == 1:
        return masks[0]
    merged = coco.merge([{**mask, "counts": mask["counts"].encode("ascii")} for mask in masks])
    return {"size": list(merged["size"]), "counts": merged["counts"].decode("ascii")}


def polygons(parts: Sequence[Sequence[float]], size: Size) -> Mask:
    """Return the union of polygons, each `x1, y1, x2, y2, ...` in pixels, as COCO draws them.

    Raises:
        InputError: If there is no polygon or one has no three corners.
    """
    from pycocotools import mask as coco

    if not parts or any(len(part) < 6 or len(part) % 2 for part in parts):
        raise InputError(
            f"the segmentation has parts of {[len(part) for part in parts]} numbers; expected "
            "polygons of x and y of three corners or more"
        )
    drawn = coco.frPyObjects([list(part) for part in parts], *size)
    return union(
        [{"size": list(part["size"]), "counts": part["counts"].decode("ascii")} for part in drawn]
    )


def box_around(mask: Mask) -> Box | None:
    """Return the box around a checked mask, outer pixel edges, normalised; None if it is empty."""
    from pycocotools import mask as coco

    x, y, width, height = coco.toBbox({**mask, "counts": mask["counts"].encode("ascii")}).tolist()
    return from_xywh((x, y, width, height), tuple(mask["size"]))


def encode(pixels: NDArray[np.bool_]) -> Mask:
    """Encode a bool `[H, W]` mask."""
    import torch

    from tpo_core.records import rle

    return rle.encode(torch.from_numpy(pixels))


def read_labels(path: Path, *, size: Size | None = None) -> NDArray[np.uint8]:
    """Read a picture whose pixel values are object numbers: a palette PNG, or a grey one.

    Args:
        path: The picture.
        size: The size of the image or video, if it is known.

    Returns:
        uint8 `[H, W]`.

    Raises:
        InputError: If it cannot be read, holds colours in place of numbers, or is of another size.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L", "1"):
                raise InputError(
                    f"{path} is of mode {picture.mode}; expected a palette PNG whose pixels are "
                    "object numbers"
                )
            labels = np.array(picture, dtype=np.uint8)
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as a mask ({error}); replace it") from error
    if size is not None and labels.shape != size:
        raise InputError(
            f"{path} is {labels.shape[0]} x {labels.shape[1]} (height x width) but the picture is "
            f"{size[0]} x {size[1]}; expected masks at the size of the picture"
        )
    return labels


def _compress(counts: list[int], size: Size) -> Mask:
    from pycocotools import mask as coco

    runs = coco.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}
