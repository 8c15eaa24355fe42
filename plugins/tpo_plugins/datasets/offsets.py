"""Where a file's rows lie: found once, and kept beside the file or in the user's cache folder.

What is kept is used while the file has the size and the time of change that it had. Of files below
`KEEP_FROM` bytes nothing is kept, since going through them takes no time.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tpo_core.errors import InputError
from tpo_plugins.datasets.scan import Offsets, line_bounds, member_bounds

KEEP_FROM = 1 << 24
"""Bytes from which on a file's index is kept."""

KEY = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
"""The beginning of a member of a JSON object: its key, quoted, and the colon."""
KEY_BYTES = 4096
"""Within how many bytes of a member its key ends."""

_MAGIC = 0x31584449_4F5054  # "TPOIDX1"
_HEADER = 4  # magic, size, time of change, number of bounds
_BLOCK = 1 << 16
_LINE_SUFFIXES = (".jsonl", ".ndjson")


class Layout(IntEnum):
    """How a file holds its rows."""

    LINES = 0
    LIST = 1
    OBJECT = 2


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file and what in it holds the rows.

    Args:
        path: The file.
        layout: What holds the rows.
        start: Where that begins, in bytes.
        is_empty: Whether it holds no row.
    """

    path: Path
    layout: Layout
    start: int
    is_empty: bool

    def bounds(self) -> Iterator[Offsets]:
        """Go through the file and yield, in parts, where rows begin and the last one ends.

        Row k lies from bound k, plus 1 unless in lines, to bound k + 1.
        """
        with self.path.open("rb") as file:
            if self.is_empty:
                yield np.array([self.start], dtype=np.int64)
            elif self.layout is Layout.LINES:
                yield from line_bounds(file)
            else:
                yield from member_bounds(file, self.start)

    def kept_bounds(self) -> Iterator[Offsets]:
        """Yield the bounds in parts, from the kept index if there is one."""
        kept = _load_any(self)
        if kept is None:
            yield from self.bounds()
            return
        for block in range(0, len(kept), _BLOCK):
            yield kept[block : block + _BLOCK]

    def index(self) -> Offsets:
        """Return all bounds, mapped from the kept index, which is built if there is none."""
        if (kept := _load_any(self)) is not None:
            return kept
        stamp = _stamp(self.path)
        for place in _places(self):
            with suppress(OSError):
                _keep(place, stamp, self.bounds())
                if (kept := _load(place, stamp)) is not None:
                    return kept
        return np.concatenate([*self.bounds()])


def row_file(path: Path, *, under: str = "") -> RowFile:
    """Find what in a JSON or JSONL file holds the rows; only its beginning is read.

    Args:
        path: The file.
        under: The key of a JSON object whose value holds the rows; empty for the whole file.

    Raises:
        InputError: If the file cannot be read, is empty, or is no JSON list, object or JSONL.
    """
    try:
        with path.open("rb") as file:
            start = _first_mark(file, path)
            if path.suffix.lower() in _LINE_SUFFIXES and not under:
                return RowFile(path, Layout.LINES, 0, is_empty=False)
            if not under:
                return _container(file, path, start, what="it")
            for bounds in member_bounds(file, start):
                place = file.tell()
                for bound in bounds.tolist():
                    file.seek(bound + 1)
                    match = KEY.match(file.read(KEY_BYTES))
                    if match and match[1] == f'"{under}"'.encode():
                        return _container(file, path, bound + 1 + match.end(), what=repr(under))
                file.seek(place)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; check the path and its permissions"
        ) from error
    raise InputError(f"{path} has no key {under!r} at its top; expected it to hold the rows")


def _first_mark(file: BinaryIO, path: Path) -> int:
    head = file.read(KEY_BYTES)
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not body:
        raise InputError(f"{path} is empty; expected a JSON list or object, or JSON lines")
    return len(head) - len(body)


def _container(file: BinaryIO, path: Path, start: int, *, what: str) -> RowFile:
    file.seek(start)
    mark = file.read(1)
    if mark not in (b"[", b"{"):
        raise InputError(
            f"{path}: {what} begins with {mark.decode('latin-1')!r}; expected a JSON list or object"
        )
    layout = Layout.LIST if mark == b"[" else Layout.OBJECT
    is_empty = file.read(KEY_BYTES).lstrip()[:1] in (b"]", b"}")
    return RowFile(path, layout, start, is_empty)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _places(rows: RowFile) -> list[Path]:
    """Return where an index may be kept: beside the file, else in the user's cache folder."""
    if _stamp(rows.path)[0] < KEEP_FROM:
        return []
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tpo"
    digest = hashlib.sha256(f"{rows.path.resolve()}\0{rows.start}".encode()).hexdigest()[:32]
    part = f".{rows.start}" if rows.start else ""
    return [
        rows.path.with_name(f".{rows.path.name}{part}.tpo-index"),
        cache / f"{digest}.tpo-index",
    ]


def _load_any(rows: RowFile) -> Offsets | None:
    for place in _places(rows):
        with suppress(OSError):
            if (kept := _load(place, _stamp(rows.path))) is not None:
                return kept
    return None


def _load(place: Path, stamp: tuple[int, int]) -> Offsets | None:
    """Map a kept index, unless it is damaged or of another state of the file."""
    length, rest = divmod(place.stat().st_size, 8) if place.is_file() else (0, 0)
    if length <= _HEADER or rest:
        return None
    numbers = np.memmap(place, dtype=np.int64, mode="r")
    magic, size, changed, count = numbers[:_HEADER].tolist()
    if magic != _MAGIC or (size, changed) != stamp or count != length - _HEADER:
        return None
    return numbers[_HEADER:]


def _keep(place: Path, stamp: tuple[int, int], bounds: Iterator[Offsets]) -> None:
    """Write an index part by part beside its place, then move it there at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        try:
            count = 0
            file.write(bytes(8 * _HEADER))
            for part in bounds:
                count += len(part)
                file.write(part.astype(np.int64).tobytes())
            file.seek(0)
            file.write(np.array([_MAGIC, *stamp, count], dtype=np.int64).tobytes())
            file.close()
            os.replace(file.name, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise
