"""Lines of text files and rows of CSV files, each knowing where it stands."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from tpo_core.errors import InputError, RecordError
from tpo_plugins.datasets.rows import Row


def text_lines(path: Path, *, fallback: str = "") -> Iterator[Row | RecordError]:
    """Yield the lines of a text file that are not blank, without their ends.

    Args:
        path: The file, UTF-8.
        fallback: The encoding of lines that are not UTF-8; such a line is an error if empty.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _line(line, Row(value=None, path=path, number=number), fallback)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file") from error


def csv_rows(path: Path, *, columns: Sequence[str]) -> Iterator[Row | RecordError]:
    """Yield the rows of a CSV file with a header, as texts by column.

    Args:
        path: The file, UTF-8.
        columns: Columns that must be there.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path} has no column {', '.join(missing)}; its header is "
                    f"{', '.join(reader.fieldnames or ()) or 'empty'}"
                )
            for values in reader:
                row = Row(value=values, path=path, number=reader.line_num)
                if None in values or None in values.values():
                    count = len(reader.fieldnames or ())
                    yield row.error(f"the row has not the {count} columns of the header")
                elif any("\ufffd" in value for value in values.values()):
                    yield row.error("the row is not UTF-8; convert the file to UTF-8")
                else:
                    yield row
    except (OSError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}; check the file") from error


def _line(line: bytes, place: Row, fallback: str) -> Row | RecordError:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not fallback:
            return place.error(
                f"the line is not UTF-8 (byte {line[error.start]:#04x} at column "
                f"{error.start + 1}); convert the file to UTF-8"
            )
        text = line.decode(fallback)
    return Row(value=text.rstrip("\r\n"), path=place.path, number=place.number)
