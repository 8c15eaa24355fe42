"""LLaVA-Hound-DPO: captions, instructions and preferences about videos kept as folders of frames.

JSON lines: captions and instructions in LLaVA's layout, preferences as a prompt with a chosen and a
rejected answer. Records have no preferences, so of a pair the chosen answer is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Message, Record
from tpo_plugins.datasets.files import data_folder, locate, split_files
from tpo_plugins.datasets.grouping import group_all, split_records
from tpo_plugins.datasets.llava import Turn, messages, without_place
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows

REJECTED = "rejected answer of a preference: left out"

_FILES = {
    "instruction": "video_240k_caption_15k.jsonl",
    "caption": "video_caption_300k.jsonl",
    "dpo": "sft_dpo_17k.jsonl",
}
_FRAMES = ("", "train_300k", "train_600k", "frames")


class _Row(Released):
    video: str
    conversations: list[Turn] | None = None
    prompt: str | None = None
    chosen: str | None = None
    rejected: str | None = None


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its conversations branches.

    Args:
        source: The folder with the JSONL files and the folders of frames, directly in it or in
            `train_300k`, `train_600k` or `frames`.
        split: The part, `instruction`, `caption` or `dpo`; all whose file is there if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root, met = data_folder(source), counter(quirks)
    return split_records(
        "llava_hound_dpo",
        split_files(root, _FILES, split=split),
        groups=lambda path: group_all(Rows(path), key=lambda row: row.parse(_Row).video),
        media=lambda group: MediaRef(type="video", path=locate(root, group.key, folders=_FRAMES)),
        branches=lambda row, name: [Branch(messages=_messages(row, met))],
    )


def _messages(row: Row, quirks: Quirks) -> list[Message]:
    item = row.parse(_Row)
    if item.conversations is not None:
        return messages(item.conversations, row, quirks=quirks)
    if not item.prompt or not item.chosen:
        raise row.error(
            "there are neither conversations nor a prompt with a chosen answer",
            field="conversations",
        )
    if item.rejected is not None:
        quirks[REJECTED] += 1
    return [
        Message(role="user", content=without_place(item.prompt)),
        Message(role="assistant", content=item.chosen.strip()),
    ]
