"""Errors that a user can act on: each message says what was got, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TpoError(Exception):
    """Base of every error this package raises on purpose; commands print it in one line."""


class InputError(TpoError, ValueError):
    """A value the user gave cannot be used."""


class RecordError(InputError):
    """A record of a dataset is malformed; carries where it stands.

    Args:
        reason: What is wrong, in one sentence.
        path: The file that holds the record.
        line: Its 1-based line number.
        field: The field inside the record, dotted.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.reason, self.path, self.line, self.field = reason, path, line, field
        place = ":".join(str(part) for part in (path, line) if part is not None)
        super().__init__(": ".join(part for part in (place, field, reason) if part))


class MediaError(InputError):
    """A picture or video is missing, corrupt or empty."""


class UnknownName(InputError):
    """A name is not registered; suggests the nearest that is.

    Args:
        kind: What the name should have named, such as `head`.
        name: The name that was asked for.
        known: The names that are registered.
        note: What else may explain it, such as a plugin that failed.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, note: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known_text = f" (known: {', '.join(names) or 'none'})"
        super().__init__(
            f"unknown {kind} {name!r}{hint}{known_text}" + (f"; {note}" if note else "")
        )


class MissingDependency(TpoError, ImportError):
    """An optional package is absent; the message holds the command that installs it."""


class PluginError(TpoError):
    """A plugin is broken, vetoes an action, or clashes with another."""


class CheckpointError(InputError):
    """A saved model or training checkpoint cannot be loaded or written."""
