"""A benchmark by its registered name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ValidationError, create_model

from tpo_core import registry
from tpo_core.errors import InputError, PluginError
from tpo_core.evaluation.benchmark import Benchmark


def open_benchmark(name: str, **options: Any) -> Benchmark:
    """Make a benchmark.

    Args:
        name: As registered.
        **options: The benchmark's own, such as `split`, `num_frames`, or `strict`, which scores an
            answer that lacks 0 where the official rule rewards or forgives it.

    Raises:
        UnknownName: If it is not registered.
        PluginError: If it is broken.
        InputError: If it has no such option, or the option no such value.
    """
    target = registry.load_benchmark(name)
    bench = target(**_checked(name, target, options))
    if not isinstance(bench, Benchmark):
        raise PluginError(
            f"benchmark {name!r} gives an object of type {type(bench).__name__}, expected a "
            "tpo_core.evaluation.Benchmark; correct the spec's target"
        )
    return bench


def _checked(name: str, target: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, each of the type that the benchmark declares."""
    known = inspect.signature(target).parameters
    if options.get("strict") is True and "strict" not in known:
        raise InputError(
            f"benchmark {name} has no strict variant, its rule is the official one alone; leave "
            "strict (--strict) out"
        )
    for option in options:
        if option not in known:
            raise InputError(
                f"benchmark {name} has no option {option!r}; "
                + (f"it has {', '.join(known)}" if known else "it has none")
            )
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    fields: dict[str, Any] = {option: (hints.get(option, Any), ...) for option in options}
    schema = create_model("Options", __config__={"arbitrary_types_allowed": True}, **fields)
    try:
        checked = schema(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"option {first['loc'][0]} of benchmark {name} is {first['input']!r}: {first['msg']}"
        ) from error
    return {option: getattr(checked, option) for option in options}


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
