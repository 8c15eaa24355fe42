"""Open a registered dataset by name and read its records one by one."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tpo_core.errors import PluginError, RecordError
from tpo_core.records.schema import Record


def open_dataset(
    name: str,
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    quirks: Counter[str] | None = None,
) -> Iterator[Record | RecordError]:
    """Read a dataset as it is released.

        for record in tpo.open_dataset("charades_sta", "data/charades", split="test"):

    Args:
        name: The dataset, as `tpo datasets` lists it.
        folder: Its files.
        split: One of its splits; all that are there if None.
        quirks: Filled while reading, by readers that count them: what was odd in the files and was
            dealt with, and how often.

    Returns:
        Records, their media paths relative to `media_root(folder)`, and in place of each row that
        cannot be used its error, which names file, line or key, and field.

    Raises:
        UnknownName: No dataset has the name, or the dataset no such split.
        InputError: A file is missing or cannot be read.
        MissingDependency: A package that the reader needs is absent.
        PluginError: The reader is broken.
    """
    from tpo_core.registry import load_dataset

    reader = load_dataset(name)
    takes_quirks = "quirks" in inspect.signature(reader).parameters
    options = {"quirks": quirks} if takes_quirks else {}
    return _checked(reader(folder, split=split, **options), name)


def media_root(folder: str | os.PathLike[str]) -> Path:
    """Return what the media paths of a dataset's records are relative to."""
    path = Path(folder)
    return path.parent if path.is_file() else path


def _checked(items: Iterable[object], name: str) -> Iterator[Record | RecordError]:
    for item in items:
        if not isinstance(item, Record | RecordError):
            raise PluginError(
                f"dataset {name!r} yielded {type(item).__name__}; expected Record or RecordError "
                "(see docs/plugins.md)"
            )
        yield item
