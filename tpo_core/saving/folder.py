"""Replace a folder in one step: a reader, or a crash, sees the old one or the new one whole."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def replacing(folder: str | Path, *, owned: Collection[str]) -> Iterator[Path]:
    """Write a new version of a folder beside it, then put it in its place.

    If the body fails, or the process dies, the folder stays as it was. What others put into the
    folder is carried over to the new version.

    Args:
        folder: What to replace; need not exist.
        owned: Names inside the folder that belong to its writer: those that the new version lacks
            vanish.

    Yields:
        An empty folder to write to.

    Raises:
        OSError: If something cannot be written or renamed.
    """
    target = Path(folder).resolve()
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    if partial.exists():  # left by a process that died
        shutil.rmtree(partial)
    partial.mkdir()
    try:
        yield partial
        if target.exists():
            _carry_over(target, partial, owned)
        _sync(partial)
        _move(partial, target)
        _sync_folder(target.parent)
    finally:
        # The new version if something failed, the old one if nothing did.
        shutil.rmtree(partial, ignore_errors=True)


def _carry_over(old: Path, new: Path, owned: Collection[str]) -> None:
    for entry in old.iterdir():
        if entry.name in owned or (new / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(str(entry), str(new / entry.name))


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system cannot."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _sync(folder: Path) -> None:
    """Have everything below a folder written to the disk before it gets its name."""
    for root, _, files in os.walk(folder):
        for name in files:
            path = Path(root, name)
            if not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(new: Path, target: Path) -> None:
    """Put `new` at `target`; what stood there before ends up at `new`, or is gone."""
    if not target.exists():
        os.replace(new, target)
    elif not _exchange(new, target):
        aside = target.with_name(f".{target.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(target, aside)
        try:
            os.replace(new, target)
        except OSError:
            os.replace(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step, where kernel, C library and file system can."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0)
