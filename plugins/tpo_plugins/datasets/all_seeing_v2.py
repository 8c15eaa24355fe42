"""All-Seeing-V2 (AS-V2): conversations about pictures with boxes in the text (arXiv 2402.19474).

JSON lists in LLaVA's layout. Of each file there are two versions: boxes of the picture padded to a
square, and, named `*_wo_square_pad.json`, of the picture itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.files import data_folder, locate, split_files
from tpo_plugins.datasets.grounded_text import Grounded, read_grounded
from tpo_plugins.datasets.grouping import Group, group_all, group_records
from tpo_plugins.datasets.llava import Turn, messages
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.sizes import media_size

PADDED = "boxes of the picture padded to a square: padding undone"
CUT = "box that leaves the picture: cut at its edge"
LOST = "box of an answer without an area in the picture: its phrase kept without it"
TEXT_ONLY = "row without a picture: kept as chat"

_PLAIN = "_wo_square_pad"
_FOLDERS = ("", "images", "data")


def _names(*stems: str) -> tuple[str, ...]:
    """Return what a file may be called: plain boxes are exact, so they are preferred."""
    return tuple(f"{stem}{pad}.json" for stem in stems for pad in (_PLAIN, ""))


_FILES = {
    "conversation": _names("rec_conversation_22k", "sgc_conversation_22k"),
    "detailed_description": _names("rec_detailed_description_42k", "sgc_detailed_description_42k"),
    "region_captioning": _names("rec_region_captioning_63k", "sgc_region_captioning_63k"),
    "mix": _names("as_mix_4m"),
    "pretrain": _names("as_pretrain_10m"),
    "mix665k": _names("llava_v1_5_mix665k_asmv2_format"),
}


class _Row(Released):
    id: str | int = ""
    image: str = ""
    conversations: list[Turn]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a picture and file, its conversations branches.

    Boxes of an answer become `<region>` targets, those of a question `<region>` prompts.

    Args:
        source: The folder with the JSON files; picture paths are looked up below it, below its
            `images` and below its `data`.
        split: The part: `conversation`, `detailed_description`, `region_captioning`, which are
            AS-V2 proper, or `mix`, `pretrain`, `mix665k`; those that are there if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the part's file is missing.
    """
    root = data_folder(source)
    return _records(root, split_files(root, _FILES, split=split), counter(quirks))


def _records(root: Path, files: dict[str, Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    @lru_cache(maxsize=1)
    def size_of(picture: str) -> Size:
        return media_size(root / locate(root, picture, folders=_FOLDERS), "image")

    for part, path in files.items():
        padded = not path.stem.endswith(_PLAIN)

        def branches(row: Row, name: str, padded: bool = padded) -> list[Branch]:
            item = row.parse(_Row)
            if not item.image:
                quirks[TEXT_ONLY] += 1
            with at_row(row):
                size = size_of(item.image) if padded and _has_box(item) else None
                if size is not None:
                    quirks[PADDED] += 1
                return [_branch(item, row, size, quirks)]

        yield from group_records(
            group_all(Rows(path), key=_picture),
            prefix=f"all_seeing_v2/{part}",
            media=lambda group: _media(group, root),
            branches=branches,
        )


def _picture(row: Row) -> str:
    item = row.parse(_Row)
    return item.image or f"text/{row.number}"


def _media(group: Group, root: Path) -> MediaRef | None:
    item = group.rows[0].parse(_Row)
    if not item.image:
        return None
    return MediaRef(type="image", path=locate(root, item.image, folders=_FOLDERS))


def _has_box(item: _Row) -> bool:
    return any("<box>" in turn.text for turn in item.conversations)


def _branch(item: _Row, row: Row, size: Size | None, quirks: Quirks) -> Branch:
    targets: list[dict[str, object]] = []
    prompts: list[dict[str, object]] = []
    turns = []
    for message in messages(item.conversations, row, quirks=quirks):
        found = read_grounded(message.content, size=size)
        asked = message.role == "user"
        _count(found, row, quirks, asked=asked)
        labels = prompts if asked else targets
        labels += [{"task": "region", "box": box} for box in found.boxes]
        turns.append(message.model_copy(update={"content": found.text}))
    return Branch(messages=turns, targets=targets, prompts=prompts)


def _count(found: Grounded, row: Row, quirks: Quirks, *, asked: bool) -> None:
    if found.lost and asked:
        raise row.error("a box of the question has no area in the picture; nothing is asked about")
    if found.lost:
        quirks[LOST] += found.lost
    if found.cut:
        quirks[CUT] += found.cut
