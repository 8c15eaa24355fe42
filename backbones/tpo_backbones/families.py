"""Which families there are: their file, what they cannot do, and those that are refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from tpo_core.errors import InputError, UnknownName

if TYPE_CHECKING:
    from tpo_backbones.family import Family

# `config.model_type` -> the class that holds what differs; a family that is absent has defaults.
FAMILIES: Final[Mapping[str, str]] = {
    "llava_onevision": "tpo_backbones.llava_onevision:LlavaOnevision",
}

REFUSED: Final[Mapping[str, str]] = {}


def family_for(model_type: str) -> Family:
    """Return what differs in a family; the defaults where nothing is known of it.

    Raises:
        InputError: If the family is known not to work.
    """
    if model_type in REFUSED:
        raise InputError(f"backbones of type {model_type!r} are refused: {REFUSED[model_type]}")
    target = FAMILIES.get(model_type, "tpo_backbones.family:Family")
    module, _, name = target.partition(":")
    family: Family = getattr(import_module(module), name)()
    return family


def check_family(model_type: str, expected: Sequence[str]) -> None:
    """Refuse a checkpoint of another family than the one asked for.

    Raises:
        InputError: If `expected` is not empty and does not hold `model_type`.
    """
    if expected and model_type not in expected:
        raise InputError(
            f"the checkpoint is of type {model_type!r}, expected {' or '.join(expected)}; "
            f"attach it with the backbone 'transformers' or the one for its type"
        )


def known_type(model_type: str) -> None:
    """Refuse a model type that no family file knows, with the nearest that is known.

    Raises:
        UnknownName: If it is unknown.
    """
    if model_type not in FAMILIES:
        raise UnknownName("backbone family", model_type, FAMILIES)
