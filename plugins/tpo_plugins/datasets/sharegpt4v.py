"""ShareGPT4V: descriptions of pictures by GPT-4V and a captioner, and a mixture for instruction.

JSON lists in LLaVA's layout. The picture's path begins with its source (`coco`, `sam`, `llava`,
`gqa`, `vg` and so on); rows of text only have none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.files import data_folder, locate, split_files
from tpo_plugins.datasets.grouping import Group, group_consecutive, split_records
from tpo_plugins.datasets.llava import Turn, messages
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Rows

TEXT_ONLY = "row of text only: no media"

_FILES = {
    "cap100k": "sharegpt4v_instruct_gpt4-vision_cap100k.json",
    "captioner": "share-captioner_coco_lcs_sam_1246k_1107.json",
    "mix665k": "sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json",
}
_PICTURES = ("", "data", "images")


class _Row(Released):
    image: str = ""
    conversations: list[Turn]


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a row; rows about one picture that follow each other are its branches.

    Args:
        source: The folder with the JSON files and the sources' folders, directly in it or in
            `data` or `images`.
        split: The part, `cap100k`, `captioner` or `mix665k`; all whose file is there if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root, met = data_folder(source), counter(quirks)

    def media(group: Group) -> MediaRef | None:
        if not (image := group.rows[0].parse(_Row).image):
            met[TEXT_ONLY] += 1
            return None
        return MediaRef(type="image", path=locate(root, image, folders=_PICTURES))

    return split_records(
        "sharegpt4v",
        split_files(root, _FILES, split=split),
        groups=lambda path: group_consecutive(
            Rows(path), key=lambda row: row.parse(_Row).image or f"text {row.number}"
        ),
        media=media,
        branches=lambda row, name: [
            Branch(messages=messages(row.parse(_Row).conversations, row, quirks=met))
        ],
        numbered=True,
    )
