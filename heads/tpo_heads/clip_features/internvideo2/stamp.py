"""Naming a version of a file: a key for what was made from it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from tpo_core.errors import CheckpointError, InputError


class FileStamp(NamedTuple):
    """Which file, and which version of it.

    Args:
        path: Absolute, symbolic links resolved.
        size: Bytes.
        modified: Nanoseconds since the epoch.
    """

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str | Path, *, what: str, error: type[InputError] = CheckpointError) -> Self:
        """Look at a file.

        Args:
            path: The file.
            what: What it should be and where to get it, for the error.
            error: What to raise.

        Raises:
            InputError: Of the type asked for, if there is none.
        """
        try:
            found = Path(path).resolve(strict=True)
            stat = found.stat()
        except OSError as cause:
            raise error(
                f"{str(path)!r} does not exist or cannot be read; expected {what}"
            ) from cause
        if not found.is_file():
            raise error(f"{str(path)!r} is no file; expected {what}")
        return cls(str(found), stat.st_size, stat.st_mtime_ns)
