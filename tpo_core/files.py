"""Write files whole or not at all, and say why where they cannot be written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tpo_core.errors import InputError

_HELD: Final[set[Path]] = set()


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


@contextmanager
def held(folder: str | Path) -> Generator[None]:
    """Keep other processes of this machine out of a folder while the block runs.

    The process that holds a folder may hold it again. However it ends, the system lets go. A folder
    that cannot be made or locked is not kept: what is written to it will say why it cannot be.

    Args:
        folder: The folder; made if missing.

    Raises:
        InputError: If another process holds it.
    """
    folder = Path(folder).absolute()
    if folder in _HELD:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(
            f"another process is writing to {folder}; wait until it ends, or give another folder"
        ) from None
    except OSError:  # the file system has no locks
        pass
    _HELD.add(folder)
    try:
        yield
    finally:
        _HELD.discard(folder)
        os.close(handle)


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
