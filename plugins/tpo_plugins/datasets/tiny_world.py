"""The embedded tiny world: written to the folder if it is not there yet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tpo_core.errors import InputError, RecordError
from tpo_core.records.schema import Record
from tpo_plugins.datasets import jsonl
from tpo_plugins.world import generate_world


def read(
    source: str | os.PathLike[str],
    *,
    split: str | None = None,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> Iterator[Record | RecordError]:
    """Yield the records of a world, after writing it if the folder is missing or empty.

    Args:
        source: The world's folder.
        split: `train`, `val` or `test`; all if None.
        seed: Seed of a world that has to be written.
        sizes: Records of each split of a world that has to be written.

    Returns:
        Records, their media paths relative to the folder.

    Raises:
        InputError: The folder holds something else, or the split is not in it.
    """
    folder = Path(source)
    if not (folder / "world.json").is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                f"{folder} exists and holds no world.json; give the folder of a tiny world, or one "
                "that is empty or missing to write a world to"
            )
        generate_world(folder, seed=seed, sizes=sizes)
    return jsonl.read(folder, split=split)
