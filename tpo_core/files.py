"""Write files whole or not at all, and say why where they cannot be written."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from tpo_core.errors import InputError


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


def writable_folder(folder: str | Path) -> Path:
    """Make a folder if missing and prove that files can be made in it.

    Raises:
        InputError: If it cannot be made or written.
    """
    folder = Path(folder)
    probe = folder / f".writable-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def cannot_write(folder: Path, error: OSError) -> InputError:
    """Return the error to raise where a folder cannot be written."""
    return InputError(
        f"cannot write to {folder}: {error.strerror}; give a folder that you may write to, on a "
        "disk with free space"
    )


def replace_file(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all; each line brings its end."""
    with whole_file(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(lines)
