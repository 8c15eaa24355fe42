"""Small releases written in the exact layout of the real ones, and what their readers make of them.

A release is a mapping from file names to contents: a list of rows for JSONL, any other JSON value
for JSON, text or bytes as they are, None for a media file that only has to be there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpo_core.errors import RecordError
from tpo_core.records.schema import Record
from tpo_core.records.source import open_dataset
from tpo_core.records.validate import check_record, registered_rules

Files = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A dataset's files and what must come of them.

    Args:
        name: The dataset.
        files: Its files.
        split: The split to read.
        records: By record id: the media path, and what is expected of each branch in order.
        quirks: What must be counted.
        errors: Of each row that cannot be used: file, line, and a part of the message.
        label: Names the test where a dataset has several.
    """

    name: str
    files: Files
    split: str | None
    records: Mapping[str, tuple[str | None, list[Any]]]
    quirks: Mapping[str, int] = field(default_factory=dict)
    errors: list[tuple[str, int, str]] = field(default_factory=list)
    label: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.label)))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader yielded; errors in the order of files and lines."""

    records: dict[str, Record]
    errors: list[RecordError]
    quirks: Counter[str]


def write(folder: Path, files: Files) -> Path:
    """Write a release."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.write_bytes(b"media")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith(".jsonl"):
            lines = (row if isinstance(row, str) else json.dumps(row) for row in content)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def read(name: str, folder: Path, split: str | None = None) -> Reading:
    """Read all of a dataset."""
    quirks: Counter[str] = Counter()
    items = list(open_dataset(name, folder, split=split, quirks=quirks))
    records = [item for item in items if isinstance(item, Record)]
    assert len({record.id for record in records}) == len(records)
    return Reading(
        records={record.id: record for record in records},
        errors=sorted(
            (item for item in items if isinstance(item, RecordError)),
            key=lambda error: (error.path, error.line),
        ),
        quirks=quirks,
    )


def check_counts(found: Reading, release: Release) -> None:
    """Compare quirks and bad rows with what a release has."""
    assert found.quirks == release.quirks
    assert len(found.errors) == len(release.errors)
    for error, (file, line, text) in zip(found.errors, release.errors, strict=True):
        assert str(error.path).endswith(file)
        assert error.line == line
        assert text in str(error)


def check_steady(release: Release, folder: Path) -> None:
    """Check that the records of a release are valid and the same on every run."""
    write(folder, release.files)
    first, second = (read(release.name, folder, release.split).records for _ in range(2))
    assert first == second
    for record in first.values():
        check_record(record, registered_rules())
