"""A benchmark by its registered name."""

from __future__ import annotations

import inspect
from pathlib import Path

from tpo_core import registry
from tpo_core.errors import InputError, PluginError
from tpo_core.evaluation.benchmark import Benchmark


def open_benchmark(name: str, *, strict: bool = False) -> Benchmark:
    """Make a benchmark.

    Args:
        name: As registered.
        strict: Score an answer that lacks 0 where the official rule rewards or forgives it.

    Raises:
        UnknownName: If it is not registered.
        PluginError: If it is broken.
        InputError: If it has no strict variant.
    """
    target = registry.load_benchmark(name)
    if strict and "strict" not in inspect.signature(target).parameters:
        raise InputError(
            f"benchmark {name} has no strict variant, its rule is the official one alone; leave "
            "strict (--strict) out"
        )
    bench = target(strict=True) if strict else target()
    if not isinstance(bench, Benchmark):
        raise PluginError(
            f"benchmark {name!r} gives an object of type {type(bench).__name__}, expected a "
            "tpo_core.evaluation.Benchmark; correct the spec's target"
        )
    return bench


def data_folder(data: str | Path, benchmark: Benchmark) -> Path:
    """Return the folder of a benchmark's files.

    Raises:
        InputError: If there is no such folder.
    """
    folder = Path(data)
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise InputError(
            f"data folder {folder} {what}; give the folder of {benchmark.name}'s files"
        )
    return folder
