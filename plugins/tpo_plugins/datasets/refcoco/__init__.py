"""RefCOCO, RefCOCO+ and RefCOCOg: phrases for objects of COCO's pictures (arXiv 1608.00272).

They are around in four styles of files; which it is follows from what is in the folder. Where
several are, the first counts: REFER's pickles, MDETR's JSON, Qwen-VL's JSONL, Shikra's JSONL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import Size, from_xyxy, leaves_image
from tpo_plugins.datasets.files import MediaFiles, data_folder
from tpo_plugins.datasets.grouping import Group, group_records
from tpo_plugins.datasets.masks import Mask, polygons, read_rle
from tpo_plugins.datasets.objects import ask_by_phrase, ask_where, mask_target
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.refcoco.lines import qwen_vl_phrases, shikra_phrases
from tpo_plugins.datasets.refcoco.mdetr import mdetr_phrases
from tpo_plugins.datasets.refcoco.phrase import SPLITS, Dataset, Phrase, Style
from tpo_plugins.datasets.refcoco.refer import refer_phrases
from tpo_plugins.datasets.rows import Row

Label = Literal["region", "mask"]

CUT = "box that leaves the picture: cut at its edge"
WORDLESS = "no phrase: left out"
PARTS = "object in several parts: one mask of all"

_STYLES: tuple[Style, ...] = (refer_phrases, mdetr_phrases, qwen_vl_phrases, shikra_phrases)


def read_refcoco(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    label: Label = "region",
    quirks: Quirks | None = None,
) -> Iterator[Record | RecordError]:
    """Yield one record a picture of RefCOCO, its phrases branches.

    Args:
        source: The folder with files of one of the four styles and, at any depth, the pictures of
            COCO's train2014.
        split: `train`, `val`, `testA` or `testB`; those that are there if None.
        label: What is asked for: the object's box, or its mask, which only REFER's files have.
        quirks: Filled.

    Raises:
        InputError: The folder or the files are missing, or a pickle holds more than plain data.
    """
    return _records(source, "refcoco", split=split, label=label, quirks=quirks)


def read_refcoco_plus(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    label: Label = "region",
    quirks: Quirks | None = None,
) -> Iterator[Record | RecordError]:
    """Yield one record a picture of RefCOCO+, whose phrases say nothing of places.

    See `read_refcoco` for arguments and errors.
    """
    return _records(source, "refcoco+", split=split, label=label, quirks=quirks)


def read_refcocog(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    label: Label = "region",
    quirks: Quirks | None = None,
) -> Iterator[Record | RecordError]:
    """Yield one record a picture of RefCOCOg, whose phrases are whole sentences.

    Its splits are `train`, `val` and `test`; see `read_refcoco` for arguments and errors.
    """
    return _records(source, "refcocog", split=split, label=label, quirks=quirks)


def phrases(
    source: str | os.PathLike[str],
    dataset: Dataset,
    *,
    split: str | None = None,
    quirks: Quirks | None = None,
) -> dict[str, Iterator[Group | RecordError]]:
    """Return the phrases of each picture by split; each row's value is a `Phrase`.

    Raises:
        InputError: The folder or the files are missing, or a pickle holds more than plain data.
    """
    root, met = data_folder(source), counter(quirks)
    for style in _STYLES:
        if found := style(root, dataset, split=split, quirks=met):
            return found
    if split is not None and split not in SPLITS[dataset]:
        raise UnknownName("split", split, SPLITS[dataset])
    name = split or "<split>"
    raise InputError(
        f"no file of {dataset} was found in {root} or in folders up to two levels below; expected "
        f"{dataset}/refs(*).p with instances.json, finetune_{dataset}_{name}.json, "
        f"{dataset}_{name}.jsonl or REC_{dataset}_{name}.jsonl"
    )


def _records(
    source: str | os.PathLike[str],
    dataset: Dataset,
    *,
    split: str | None,
    label: Label,
    quirks: Quirks | None,
) -> Iterator[Record | RecordError]:
    if label not in ("region", "mask"):
        raise UnknownName("label", label, ("region", "mask"))
    met = counter(quirks)
    pictures = MediaFiles(data_folder(source), "image")

    def media(group: Group) -> MediaRef:
        name: str = group.rows[0].value.picture
        return pictures.ref(name.rpartition(".")[0], default=f"train2014/{name}")

    def branches(row: Row, name: str) -> list[Branch]:
        found: Phrase = row.value
        if not found.text.strip():
            met[WORDLESS] += 1
            return []
        with at_row(row):
            if label == "mask":
                mask = _mask(found.segmentation, found.size, met)
                return [ask_by_phrase(found.text, mask_target({0: mask}), name=name)]
            box = from_xyxy(found.box, found.size)
            if box is None:
                raise InputError(
                    f"the box {list(found.box)} has no area in the picture of "
                    f"{found.size[1]} x {found.size[0]}; expected xyxy in pixels"
                )
            if leaves_image(found.box, found.size):
                met[CUT] += 1
            return [ask_where(found.text, box, name=name)]

    parts = phrases(source, dataset, split=split, quirks=met)
    return chain.from_iterable(
        group_records(groups, prefix=f"{dataset}/{name}", media=media, branches=branches)
        for name, groups in parts.items()
    )


def _mask(segmentation: Any, size: Size, quirks: Quirks) -> Mask:
    """Return the mask of COCO's polygons or RLE, several parts together."""
    if isinstance(segmentation, dict):
        return read_rle(segmentation, size=size)
    if not isinstance(segmentation, list):
        raise InputError("there is no segmentation; masks need REFER's files")
    if len(segmentation) > 1:
        quirks[PARTS] += 1
    return polygons(segmentation, size)
