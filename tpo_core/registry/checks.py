"""Whether what a plugin returned is what the hook asks for; every violation is named at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from tpo_core.specs import API_VERSION, BackboneSpec, HeadSpec, Spec
from tpo_core.tokens import TaskToken

SpecT = TypeVar("SpecT", bound=Spec)

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def checked_specs(result: object, *, expected: type[SpecT]) -> tuple[SpecT, ...]:
    """Return the specs a hookimpl returned, after checking type and content.

    Args:
        result: What the hookimpl returned; a generator is run to its end.
        expected: The spec type of the hook.

    Raises:
        TypeError: The result is not an iterable of `expected`.
        ValueError: A spec was written for another interface version, is malformed, or repeats a
            name.
        Exception: Whatever a generator raises.
    """
    wanted = f"expected an iterable of {expected.__name__}"
    if not isinstance(result, Iterable) or isinstance(result, str | bytes):
        raise TypeError(f"returned {type(result).__name__}; {wanted}")
    specs: list[SpecT] = []
    for item in result:
        if not isinstance(item, expected):
            raise TypeError(f"returned {type(item).__name__} among its entries; {wanted}")
        if violations := spec_violations(item):
            raise ValueError(f"{expected.__name__} {item.name!r}: {'; '.join(violations)}")
        if any(item.name == earlier.name for earlier in specs):
            raise ValueError(f"returned the name {item.name!r} twice; names must be unique")
        specs.append(item)
    return tuple(specs)


def spec_violations(spec: Spec) -> list[str]:
    """Return what is wrong with a spec, one phrase a violation; empty if nothing is."""
    if spec.api != API_VERSION:
        # The fields of another version mean something else, so nothing more can be checked.
        return [
            f"api={spec.api!r} is not supported by this tpo, which has api={API_VERSION}; "
            f"install a plugin version written for it"
        ]
    found = []
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        found.append(
            f"name={spec.name!r} must start with a lower-case letter or digit and "
            f"hold only lower-case letters, digits, '_', '-' and '.'"
        )
    if not isinstance(spec.target, str) or not _TARGET.fullmatch(spec.target):
        found.append(f"target={spec.target!r} must look like 'package.module:Attribute'")
    if not _is_tuple_of(spec.requires, str):
        found.append(f"requires={spec.requires!r} must be a tuple of import names")
    if isinstance(spec, BackboneSpec) and not _is_tuple_of(spec.model_types, str):
        found.append(f"model_types={spec.model_types!r} must be a tuple of strings")
    if isinstance(spec, HeadSpec):
        if not _is_tuple_of(spec.tokens, TaskToken):
            found.append(f"tokens={spec.tokens!r} must be a tuple of TaskToken")
        elif not spec.tokens:
            found.append("tokens is empty; a head needs at least one TaskToken")
    return found


def _is_tuple_of(value: object, kind: type) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)
