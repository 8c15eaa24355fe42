"""The option `--set KEY=VALUE` of several commands."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from tpo_core.errors import InputError


def parse_assignments(texts: Iterable[str] | None, *, example: str) -> dict[str, object]:
    """Split each `KEY=VALUE`, the value read as YAML.

    Args:
        texts: As given; None if none was.
        example: One that would be right, for the message.

    Raises:
        InputError: There is no `=`, or the value is no YAML.
    """
    values: dict[str, object] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--set {text!r}: expected KEY=VALUE, such as {example}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text!r}: the value is not YAML; quote it") from error
    return values
