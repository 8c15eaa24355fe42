"""Rows of annotation tables: Parquet as released, or the same rows exported to JSON or JSONL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tpo_core.errors import InputError, MissingDependency, RecordError
from tpo_plugins.datasets.rows import Row, Rows

_BATCH: Final = 256


def table_rows(path: Path) -> Iterator[Row | RecordError]:
    """Yield the rows of a table as mappings from column to plain value.

    Args:
        path: A `.parquet` file, a JSON list or a JSONL file.

    Raises:
        InputError: If the file cannot be read.
        MissingDependency: If it is Parquet and pyarrow is absent.
    """
    return _parquet_rows(path) if path.suffix == ".parquet" else iter(Rows(path))


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingDependency(
            f"{path} is Parquet, which pyarrow reads; install it with `pip install "
            "'tpo[parquet]'`, or put the rows beside it as "
            f"{path.with_suffix('.jsonl').name}"
        ) from error
    number = 0
    try:
        with ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(value=value, path=path, number=number)
    except (ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read as Parquet behind row {number} ({error}); get it again"
        ) from error
