"""Masks by frame as a prediction holds them: taken from an answer, checked, decoded.

A prediction's `masks` is a mapping to COCO RLEs, from the numbers of the frames (from 0, in order)
or from their names, or a list, one a frame; null stands for a frame in which nothing is to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError
from tpo_core.results import EncodedMaskTrack, MaskTrack
from tpo_plugins.datasets.masks import Mask, read_rle, union

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_plugins.datasets.boxes import Size

Pixels = NDArray[np.bool_]


def tracked_masks(answer: Answer, *, frames: int) -> dict[str, Mask] | None:
    """Return the union of all masks of an answer by the number of the frame; None without one.

    Args:
        answer: The answer.
        frames: How many frames the video has.

    Raises:
        InputError: If a head did not go through every frame.
    """
    tracks = tracks_of(answer, frames=frames, named=f"the video's {frames} frames")
    if not tracks:
        return None
    numbers = map(str, range(frames))
    return {number: union([track[number] for track in tracks]) for number in numbers}


def tracks_of(answer: Answer, *, frames: int, named: str) -> list[Mapping[str, Any]]:
    """Return the masks of each object of an answer by the number of the frame.

    Args:
        answer: The answer.
        frames: How many frames the video has.
        named: Names these frames in errors.

    Raises:
        InputError: If a head did not go through every frame.
    """
    found = (result for _, result in answer.results)
    tracks = [
        result.to_json()["frames"]
        for result in found
        if isinstance(result, MaskTrack | EncodedMaskTrack)
    ]
    if short := [track for track in tracks if len(track) != frames]:
        raise InputError(
            f"the mask head gave masks on {len(short[0])} of {named}; expected one that goes "
            "through `Media.every_frame`, as `mask` does"
        )
    return tracks


def in_order(masks: Any, names: Sequence[str], *, where: str) -> list[Any]:
    """Return the masks of a prediction in the order of the frames.

    Args:
        masks: The field `masks`.
        names: Of all frames of the video, in order.
        where: Names the prediction in errors.

    Raises:
        InputError: If a frame has no mask, or a mask no frame.
    """
    if not isinstance(masks, Mapping):
        masks = {str(number): mask for number, mask in enumerate(masks)}
    numbers = [str(number) for number in range(len(names))]
    keys = numbers if masks.keys() <= set(numbers) else names
    if strange := sorted(masks.keys() - set(keys)):
        raise InputError(
            f"{where} has {len(strange)} masks on frames that are not the video's, such as "
            f"{strange[0]!r}; expected numbers from '0' to {numbers[-1]!r} or names such as "
            f"{names[0]!r}"
        )
    if lacking := [key for key in keys if key not in masks]:
        raise InputError(
            f"{where} has no mask on {len(lacking)} of {len(names)} frames, such as "
            f"{lacking[0]!r}; give one for every frame, null where nothing is to be seen"
        )
    return [masks[key] for key in keys]


def pixels_of(mask: Any, size: Size, *, where: str) -> Pixels:
    """Decode a mask of a prediction.

    Args:
        mask: A COCO RLE, or None for an empty mask.
        size: Height and width of the picture.
        where: Names the prediction and the frame in errors.

    Returns:
        bool `[H, W]`.

    Raises:
        InputError: If it is damaged or of another size.
    """
    from tpo_core.records.rle import decode

    if mask is None:
        return np.zeros(size, np.bool_)
    try:
        pixels: Pixels = decode(read_rle(mask, size=size)).numpy()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return pixels
