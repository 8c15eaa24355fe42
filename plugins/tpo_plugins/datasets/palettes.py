"""Videos whose masks are palette PNGs, one a frame: a pixel's value is the object's number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.expressions import Expression
from tpo_plugins.datasets.frame_folders import FrameFolder, frame_folder
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.masks import Mask, empty, encode, read_labels
from tpo_plugins.datasets.objects import ask_by_phrase, mask_target
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Row

VOID = 255
"""The value of pixels that belong to no object and are not judged, in DAVIS."""

UNJUDGED = "frame with void pixels: background"


def palette_records(
    groups: Iterable[Group | RecordError],
    *,
    prefix: str,
    root: Path,
    pictures: Path,
    annotations: Path,
    fps: float,
    quirks: Quirks,
) -> Iterator[Record | RecordError]:
    """Yield a record a video, a branch a phrase; its target is the masks of its object.

    Args:
        groups: The phrases of each video, each row's value an `Expression` for one object.
        prefix: Stands before the video in the record's id.
        root: What media paths are relative to.
        pictures: Holds `<video>/<frame>.jpg`.
        annotations: Holds `<video>/<frame>.png`.
        fps: Frames a second.
        quirks: Filled.
    """

    @lru_cache(maxsize=1)
    def folder(video: str, frames: tuple[str, ...]) -> FrameFolder:
        return frame_folder(pictures / video, frames, quirks=quirks)

    @lru_cache(maxsize=1)
    def masks(video: str, frames: tuple[str, ...]) -> dict[int, dict[int, Mask]]:
        found = folder(video, frames)
        return object_masks(annotations / video, found.numbers, size=found.size, quirks=quirks)

    def media(group: Group) -> MediaRef:
        first: Expression = group.rows[0].value
        return folder(first.video, first.frames).ref(root, fps=fps)

    def branches(row: Row, name: str) -> Iterable[Branch]:
        expression: Expression = row.value
        if len(expression.objects) != 1:
            raise row.error(
                f"the phrase is for objects {list(expression.objects)}; expected the number of one",
                field="obj_id",
            )
        (number,) = expression.objects
        with at_row(row):
            found = masks(expression.video, expression.frames)
            if number not in found:
                raise InputError(
                    f"object {number} is in no mask of {annotations / expression.video}, which "
                    f"hold objects {list(found)}"
                )
            yield ask_by_phrase(expression.text, mask_target(found[number]), name=name)

    return group_records(groups, prefix=prefix, media=media, branches=branches)


def object_masks(
    folder: Path, numbers: Mapping[str, int], *, size: Size | None, quirks: Quirks
) -> dict[int, dict[int, Mask]]:
    """Return the masks of each object of a video by frame number, empty where it is not visible.

    Args:
        folder: Holds `<frame>.png`.
        numbers: The frame number of each annotated frame by its name.
        size: Of the video, if it is known.
        quirks: Filled.

    Raises:
        InputError: If a picture is missing, no palette PNG, or of another size.
    """
    import numpy as np

    found: dict[int, dict[int, Mask]] = {}
    nothing: dict[int, Mask] = {}
    for stem, number in numbers.items():
        labels = read_labels(folder / f"{stem}.png", size=size)
        nothing[number] = empty((labels.shape[0], labels.shape[1]))
        present = np.unique(labels)
        if VOID in present:
            quirks[UNJUDGED] += 1
        for value in present[(present != 0) & (present != VOID)].tolist():
            found.setdefault(value, {})[number] = encode(labels == value)
    return {value: {**nothing, **masks} for value, masks in sorted(found.items())}
