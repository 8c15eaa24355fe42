"""Write a file for a benchmark's server: whole or absent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tpo_core.errors import InputError
from tpo_core.files import whole_file


def write_submission(output: Path, lines: Iterable[str]) -> None:
    """Write lines of text.

    Args:
        output: The file; missing folders are made.
        lines: Without their ends.

    Raises:
        InputError: If the file cannot be written.
    """
    try:
        with whole_file(output) as draft, draft.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise InputError(
            f"cannot write {output}: {error.strerror}; give a file in a folder that you may write "
            "to, on a disk with free space"
        ) from error
