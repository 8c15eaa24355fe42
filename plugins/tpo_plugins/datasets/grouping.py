"""Group the rows about one media item, so that they become branches of one record.

Training encodes a media item once for all branches of a record; that is what makes it fast.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Record
from tpo_plugins.datasets.rows import Row

Key = Callable[[Row], str]
"""Names the media item that a row is about; raises RecordError if the row does not tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The rows about one media item, in the order of the file."""

    key: str
    rows: Sequence[Row]


class RowsByNumber(Protocol):
    """Rows that can be gone through and read again by number, such as `Rows` or a list."""

    def __iter__(self) -> Iterator[Row | RecordError]:
        """Yield every row or its error."""

    def __getitem__(self, index: int, /) -> Row | RecordError:
        """Read one row."""


def group_consecutive(
    rows: Iterable[Row | RecordError], *, key: Key
) -> Iterator[Group | RecordError]:
    """Group rows of one key that follow each other, while reading: for files in media order.

    Args:
        rows: The rows; errors among them are passed on.
        key: Names a row's media item.
    """
    current, held = "", list[Row]()
    for row, name in _keyed(rows, key):
        if isinstance(row, RecordError):
            yield row
            continue
        if held and name != current:
            yield Group(key=current, rows=held)
            held = []
        current = name
        held.append(row)
    if held:
        yield Group(key=current, rows=held)


def group_all(rows: RowsByNumber, *, key: Key) -> Iterator[Group | RecordError]:
    """Group all rows of one key, wherever they stand: for files in any order.

    The rows are gone through twice; a few numbers a row are held in between. Groups come in the
    order in which their keys first appear, after the errors of the first pass.

    Args:
        rows: The rows.
        key: Names a row's media item.
    """
    digests, numbers = array("q"), array("q")
    position = -1
    for row, name in _keyed(rows, key):
        position += 1
        if isinstance(row, RecordError):
            yield row
            continue
        digests.append(_digest(name))
        numbers.append(position)
    if not numbers:
        return
    order = np.argsort(np.frombuffer(digests, dtype=np.int64), kind="stable")
    sorted_digests = np.frombuffer(digests, dtype=np.int64)[order]
    starts = np.append(0, np.flatnonzero(np.diff(sorted_digests)) + 1)
    ends = np.append(starts[1:], len(order))
    for number in np.argsort(order[starts]):
        members = np.frombuffer(numbers, dtype=np.int64)[order[starts[number] : ends[number]]]
        found: dict[str, list[Row]] = {}  # by key: two keys may have one digest
        for member in members.tolist():
            row = rows[member]
            if isinstance(row, Row):
                found.setdefault(key(row), []).append(row)
        for name, group in found.items():
            yield Group(key=name, rows=group)


def group_records(
    groups: Iterable[Group | RecordError],
    *,
    prefix: str,
    media: Callable[[Group], MediaRef | None],
    branches: Callable[[Row, str], Iterable[Branch]],
    numbered: bool = False,
) -> Iterator[Record | RecordError]:
    """Make each group one record, its rows branches.

    A row that cannot be used gives its error, and the rest of its group is kept; a group of which
    no branch is left gives no record.

    Args:
        groups: The groups; errors among them are passed on.
        prefix: Stands before the key in the record's id, such as `charades_sta/train`.
        media: Returns the media item of a group.
        branches: Returns the conversations of a row: none if it is left out by a rule. Its second
            argument names the row, the same on every run, for choosing templates.
        numbered: Name records by the number of their first row instead of the key, where a key
            comes back, as it may from `group_consecutive`.
    """
    for group in groups:
        if isinstance(group, RecordError):
            yield group
            continue
        name = f"{prefix}/{group.rows[0].number if numbered else group.key}"
        found: list[Branch] = []
        for number, row in enumerate(group.rows):
            try:
                with row.checking():
                    found += list(branches(row, f"{name}#{number}"))  # all of a row's or none
            except RecordError as error:
                yield error
        if found:
            try:
                with group.rows[0].checking():
                    record = Record(id=name, media=media(group), branches=found)
            except RecordError as error:
                yield error
            else:
                yield record


def split_records(
    dataset: str,
    files: Mapping[str, Path],
    *,
    groups: Callable[[Path], Iterable[Group | RecordError]],
    media: Callable[[Group], MediaRef | None],
    branches: Callable[[Row, str], Iterable[Branch]],
    numbered: bool = False,
) -> Iterator[Record | RecordError]:
    """Read one split after another, each from its file, and name records after both.

    Args:
        dataset: The dataset's name.
        files: The annotation file of each split.
        groups: Groups the rows of a file.
        media: See `group_records`.
        branches: See `group_records`.
        numbered: See `group_records`.
    """
    for split, path in files.items():
        yield from group_records(
            groups(path),
            prefix=f"{dataset}/{split}",
            media=media,
            branches=branches,
            numbered=numbered,
        )


def _keyed(rows: Iterable[Row | RecordError], key: Key) -> Iterator[tuple[Row | RecordError, str]]:
    for row in rows:
        if isinstance(row, RecordError):
            yield row, ""
            continue
        try:
            yield row, key(row)
        except RecordError as error:
            yield error, ""


def _digest(name: str) -> int:
    """Return 64 bits of a key that are the same in every process."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
