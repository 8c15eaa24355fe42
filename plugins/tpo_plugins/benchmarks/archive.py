"""Write a zip for a benchmark's server: whole or absent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tpo_core.errors import InputError
from tpo_core.files import whole_file


def write_zip(output: Path, files: Iterable[tuple[str, str | bytes]]) -> None:
    """Write files into a zip; the same files give the same bytes.

    Args:
        output: The zip; missing folders are made.
        files: The name and the content of each, taken one at a time.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        with whole_file(output) as draft, ZipFile(draft, "w") as archive:
            for name, content in files:
                archive.writestr(ZipInfo(name), content, compress_type=ZIP_DEFLATED)
    except OSError as error:
        raise InputError(
            f"cannot write {output}: {error.strerror}; give a file in a folder that you may write "
            "to, on a disk with free space"
        ) from error
