"""ShareGPT-4o: detailed descriptions of pictures and videos by GPT-4o.

JSON lines in LLaVA's layout, one file for pictures and one for videos. The archives unpack into
long paths (`mnt/...`), so a file that is not where its row says is looked for by its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tpo_core.errors import RecordError
from tpo_core.media.types import MediaKind
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import Group, group_consecutive, group_records
from tpo_plugins.datasets.llava import Turn, messages
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Rows

TEXT_ONLY = "row of text only: no media"
MOVED = "media file found by its name, in another folder than released"

_FILES = {
    "image": ("image_conversations/gpt-4o.jsonl", "gpt-4o.jsonl"),
    "video": ("video_conversations/gpt4o.jsonl", "gpt4o.jsonl"),
}


class _Row(Released):
    image: str = ""
    video: str = ""
    conversations: list[Turn]

    @property
    def media(self) -> str:
        return self.video or self.image


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a row.

    Args:
        source: The folder with the JSONL files and, at any depth, the media.
        split: The part, `image` or `video`; both if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    return _records(root, split_files(root, _FILES, split=split), counter(quirks))


def _records(root: Path, files: dict[str, Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    for split, path in files.items():
        kind: MediaKind = "video" if split == "video" else "image"
        by_name = MediaFiles(root, kind)

        def media(
            group: Group, kind: MediaKind = kind, by_name: MediaFiles = by_name
        ) -> MediaRef | None:
            released = group.rows[0].parse(_Row).media
            if not released:
                quirks[TEXT_ONLY] += 1
                return None
            if not (root / released).exists() and (
                found := by_name.find(PurePosixPath(released).stem)
            ):
                quirks[MOVED] += 1
                released = found
            return MediaRef(type=kind, path=released)

        yield from group_records(
            group_consecutive(
                Rows(path), key=lambda row: row.parse(_Row).media or f"text {row.number}"
            ),
            prefix=f"sharegpt4o/{split}",
            media=media,
            branches=lambda row, name: [
                Branch(messages=messages(row.parse(_Row).conversations, row, quirks=quirks))
            ],
            numbered=True,
        )
