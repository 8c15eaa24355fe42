"""Write a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """Give a place to write to, which takes the place of a file when the block ends.

    If the block raises or the process is killed, whatever stood at `path` still does.

    Args:
        path: The file; missing folders are made.

    Yields:
        Where to write, in the same folder.

    Raises:
        OSError: If the folder or the file cannot be made.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
