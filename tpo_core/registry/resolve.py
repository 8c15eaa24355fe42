"""Turn a spec's `target` into the object it names, on first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from tpo_core.errors import MissingDependency, PluginError
from tpo_core.registry.manager import KIND, Entry
from tpo_core.specs import Spec

SpecT = TypeVar("SpecT", bound=Spec)


def resolve_class(entry: Entry[SpecT], *, base: type) -> type[Any]:
    """Import a spec's class and check that it can serve.

    Args:
        entry: The spec and its provider.
        base: The class it must derive from.

    Raises:
        MissingDependency: A package it needs is absent.
        PluginError: The target does not exist, fails to import, or is no concrete subclass.
    """
    found = _resolve(entry)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(
            f"{_named(entry)}: target {entry.spec.target!r} is {_described(found)}, expected a "
            f"subclass of {base.__module__}.{base.__qualname__}; correct the spec's target"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise PluginError(
            f"{_named(entry)}: class {found.__qualname__} lacks {missing}; implement them"
        )
    return found


def resolve_callable(entry: Entry[SpecT]) -> Callable[..., Any]:
    """Import a spec's callable.

    Args:
        entry: The spec and its provider.

    Raises:
        MissingDependency: A package it needs is absent.
        PluginError: The target does not exist, fails to import, or cannot be called.
    """
    found: object = _resolve(entry)
    if not callable(found):
        raise PluginError(
            f"{_named(entry)}: target {entry.spec.target!r} is {_described(found)}, expected a "
            f"callable; correct the spec's target"
        )
    return found


def _resolve(entry: Entry[SpecT]) -> Any:
    spec = entry.spec
    absent = [name for name in spec.requires if not _importable(name)]
    if absent:
        raise MissingDependency(f"{_named(entry)} needs {', '.join(absent)}; {_how(spec)}")
    module_name, _, attribute = spec.target.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise PluginError(
                f"{_named(entry)}: target {spec.target!r} names a module that does not exist "
                f"({error.name}); correct the spec's target"
            ) from error
        raise MissingDependency(f"{_named(entry)} needs {error.name}; {_how(spec)}") from error
    except Exception as error:
        raise PluginError(
            f"{_named(entry)}: importing {module_name} failed with "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        near = get_close_matches(attribute, dir(module), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise PluginError(
            f"{_named(entry)}: module {module_name} has no attribute {attribute!r}{hint}"
        ) from error


def _importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        # A missing or broken parent package, or a module without a spec.
        return False


def _how(spec: Spec) -> str:
    if spec.install_hint:
        return f"install with: {spec.install_hint}"
    return "install it with pip"


def _named(entry: Entry[SpecT]) -> str:
    return f"{KIND[type(entry.spec)]} {entry.spec.name!r} of {entry.provider}"


def _described(found: object) -> str:
    if isinstance(found, type):
        return f"class {found.__module__}.{found.__qualname__}"
    return f"an object of type {type(found).__name__}"
