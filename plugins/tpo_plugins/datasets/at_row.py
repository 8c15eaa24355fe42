"""Errors of labels and media as errors of the row that they stand in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tpo_core.errors import InputError, RecordError
from tpo_plugins.datasets.rows import Row


@contextmanager
def at_row(row: Row, *, field: str | None = None) -> Generator[None]:
    """Turn an error of the user's data within the block into one that says where it stands.

    Args:
        row: The row being read.
        field: Where in the row, dotted.

    Raises:
        RecordError: If the block raised an `InputError`; one that already is a `RecordError` passes
            as it is.
    """
    try:
        yield
    except RecordError:
        raise
    except InputError as error:
        raise row.error(str(error), field=field) from error
