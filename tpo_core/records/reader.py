"""Random access to the records of a JSONL file; only where its lines begin is held in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import MediaRef, Record
from tpo_core.records.targets import CORE_PROMPTS, CORE_TARGETS, Models, record_error
from tpo_core.records.validate import Items, Rules, check_record
from tpo_core.tokens import UPSTREAM_ORDER

if TYPE_CHECKING:
    import numpy as np

_CHUNK = 1 << 24


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedRecord:
    """A record with its targets and prompts typed, and where it stands.

    Args:
        record: The record.
        targets: Per branch, one typed target per slot.
        prompts: Per branch, one typed prompt per prompt marker.
        media_path: The media file; None without media.
        path: The JSONL file.
        line: Its 1-based line.
    """

    record: Record
    targets: Items
    prompts: Items
    media_path: Path | None
    path: str
    line: int


class RecordFile:
    """The records of one JSONL file, read and validated one at a time.

    Args:
        path: The file.
        targets: Target models by task, beyond or in place of the core's.
        prompts: Prompt models by task, beyond or in place of the core's.
        reserved: Texts that no message may hold, beyond the core's task tokens.
        allow_outside: Whether media may lie outside the file's folder.

    Raises:
        InputError: If the file cannot be read or holds no line.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        targets: Models | None = None,
        prompts: Models | None = None,
        reserved: Collection[str] = (),
        allow_outside: bool = False,
    ) -> None:
        self.path = Path(path)
        self.rules = Rules(
            targets={**CORE_TARGETS, **(targets or {})},
            prompts={**CORE_PROMPTS, **(prompts or {})},
            reserved=frozenset(UPSTREAM_ORDER) | frozenset(reserved),
        )
        self.allow_outside = allow_outside
        try:
            self._offsets = line_offsets(self.path)
        except OSError as error:
            raise InputError(
                f"cannot read {self.path}: {error.strerror}; check the path and its permissions"
            ) from error
        if len(self) == 0:
            raise InputError(f"{self.path} is empty; expected one JSON record a line")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __repr__(self) -> str:
        return f"RecordFile({str(self.path)!r}, {len(self)} records)"

    @cached_property
    def _folder(self) -> Path:
        return self.path.parent.resolve()

    def line_bytes(self, index: int) -> bytes:
        """Return the bytes of record `index`'s line.

        Raises:
            IndexError: If there is no such record.
            RecordError: If the file is gone since it was opened.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)} in {self.path}")
        start, end = int(self._offsets[index]), int(self._offsets[index + 1])
        try:
            # Opened anew each time, so that worker processes share no file position.
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            raise RecordError(
                f"cannot be read ({error.strerror})", path=str(self.path), line=index + 1
            ) from error

    def parse(self, index: int) -> ParsedRecord:
        """Read record `index` and validate it with its targets and prompts.

        Raises:
            IndexError: If there is no such record.
            RecordError: If the line or the record is malformed; names file, line and field.
        """
        line = self.line_bytes(index)
        try:
            return self._parse(line, number=index + 1)
        except RecordError as error:
            raise RecordError(
                error.reason, path=str(self.path), line=index + 1, field=error.field
            ) from error

    def read(self, index: int) -> Record:
        """Read record `index`, validated as by `parse`."""
        return self.parse(index).record

    def iter_records(self) -> Iterator[ParsedRecord | RecordError]:
        """Yield every record in order, and in place of a malformed one its error."""
        for index in range(len(self)):
            try:
                yield self.parse(index)
            except RecordError as error:
                yield error

    def _parse(self, line: bytes, *, number: int) -> ParsedRecord:
        try:
            record = Record.model_validate(_json_object(line))
        except ValidationError as error:
            raise record_error(error) from error
        targets, prompts = check_record(record, self.rules)
        return ParsedRecord(
            record=record,
            targets=targets,
            prompts=prompts,
            media_path=None if record.media is None else self._media_path(record.media),
            path=str(self.path),
            line=number,
        )

    def _media_path(self, media: MediaRef) -> Path:
        path = self.path.parent / media.path
        if self.allow_outside:
            return path
        # Symbolic links are followed, so that a link inside the folder cannot lead out of it.
        if "\0" in media.path or not Path(os.path.realpath(path)).is_relative_to(self._folder):
            raise RecordError(
                f"{media.path!r} leaves the folder of the records; move the media into "
                f"{self.path.parent} or allow outside paths",
                field="media.path",
            )
        return path


def record_files(source: str | Path, *, pattern: str = "*.jsonl") -> list[Path]:
    """Return the record files that a path stands for: itself, or those in a folder, sorted.

    Args:
        source: A JSONL file, or a folder of them at any depth.
        pattern: What the files of a folder are called.

    Raises:
        InputError: If there is no such file or folder, or no such file in it.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; expected a JSONL file or a folder of them")
    files = sorted(found for found in path.rglob(pattern) if found.is_file())
    if not files:
        raise InputError(f"{path} holds no {pattern} file; expected records, one JSON a line")
    return files


def line_offsets(path: Path) -> np.ndarray:
    """Return where each line of a file begins, in bytes, and at the end the file's size.

    Raises:
        OSError: If the file cannot be read.
    """
    import numpy as np

    starts = [np.zeros(1, dtype=np.int64)]
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == ord("\n"))
            starts.append(ends + (size + 1))
            size += len(chunk)
    offsets = np.concatenate(starts)
    # The last line may or may not end with a newline.
    return offsets if offsets[-1] == size else np.append(offsets, size)


def _json_object(line: bytes) -> dict[str, object]:
    """Decode one line.

    Raises:
        RecordError: If it is blank, not UTF-8, or no JSON object.
    """
    if not line.strip():
        raise RecordError("the line is empty; expected a JSON record, or remove the line")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"the line is not UTF-8 (byte {line[error.start]:#04x} at column {error.start + 1}); "
            "convert the file to UTF-8"
        ) from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"the line is not JSON: {error.msg} at column {error.colno}; write the record again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the line cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise RecordError(f"the line is a JSON {type(value).__name__}; expected an object")
    return value
