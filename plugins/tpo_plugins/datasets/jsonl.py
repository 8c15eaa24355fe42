"""Any data in this package's own record format: a JSONL file, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.reader import RecordFile, record_files
from tpo_core.records.schema import Record


def read(
    source: str | os.PathLike[str], *, split: str | None = None
) -> Iterator[Record | RecordError]:
    """Yield the records of a JSONL file, or of every JSONL file below a folder.

    Args:
        source: The file or folder.
        split: Only files of this name, such as `train` for `train.jsonl`; all if None.

    Returns:
        Records, their media paths relative to the folder, and errors in place of bad ones.

    Raises:
        InputError: There is no such file or folder, or no JSONL file in it.
    """
    path = Path(source)
    files = record_files(path, pattern=f"{split}.jsonl" if split else "*.jsonl")
    root = path if path.is_dir() else path.parent
    return _records([RecordFile(file) for file in files], root)


def _records(files: list[RecordFile], root: Path) -> Iterator[Record | RecordError]:
    for file in files:
        below = file.path.parent.relative_to(root)
        for parsed in file.iter_records():
            if isinstance(parsed, RecordError):
                yield parsed
                continue
            record = parsed.record
            if record.media is not None and below != Path():
                media = record.media.model_copy(update={"path": str(below / record.media.path)})
                record = record.model_copy(update={"media": media})
            yield record
