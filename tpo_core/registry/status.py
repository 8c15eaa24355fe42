"""What became of each plugin, and who provides what."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_FALSE = frozenset({"", "0", "false", "no", "off"})


class Status(StrEnum):
    """What became of a plugin."""

    OK = "ok"
    DISABLED = "disabled"
    """Switched off by TPO_PLUGINS or TPO_DISABLE_PLUGINS; it was not imported."""
    ERROR = "error"
    """It could not be loaded; nothing of it is registered."""
    CONFLICT = "conflict"
    """A name it registers is registered by another plugin too; its other names work."""
    MISSING = "missing"
    """TPO_PLUGINS names it, but no installed distribution provides it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """Where a plugin comes from.

    Args:
        name: The entry point's name.
        dist: The distribution that declares it; empty if registered by hand.
        version: The distribution's version.
    """

    name: str
    dist: str = ""
    version: str = ""

    def __str__(self) -> str:
        """The plugin as errors name it."""
        home = f" ({self.dist} {self.version})" if self.dist else ""
        return f"plugin {self.name!r}{home}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginStatus:
    """One row of `tpo plugins`.

    Args:
        provider: The plugin's name and origin.
        hooks: Hooks it implements, sorted.
        provides: What it registered, such as `head region`.
        status: What became of it.
        error: What went wrong, in one sentence; empty if nothing did.
    """

    provider: Provider
    hooks: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    status: Status = Status.OK
    error: str = ""

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.provider.name

    @property
    def dist(self) -> str:
        """The distribution that declares it."""
        return self.provider.dist

    @property
    def version(self) -> str:
        """The distribution's version."""
        return self.provider.version

    @property
    def failed(self) -> bool:
        """Whether something went wrong, as opposed to running or being switched off."""
        return self.status not in (Status.OK, Status.DISABLED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Switches:
    """Which plugins may load, as the environment says.

    A plugin is named by its entry point or by its distribution.

    Args:
        allowed: `TPO_PLUGINS`: the only third-party plugins to load, separated by commas. None if
            unset: all. Plugins of the `tpo` distribution itself are not subject to it.
        disabled: `TPO_DISABLE_PLUGINS`: plugins not to load, separated by commas.
        strict: `TPO_STRICT_PLUGINS`: whether a failed plugin is an error rather than a warning.
    """

    allowed: frozenset[str] | None = None
    disabled: frozenset[str] = frozenset()
    strict: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Switches:
        """Read the three variables."""
        allowed = environ.get("TPO_PLUGINS")
        return cls(
            allowed=None if allowed is None else _names(allowed),
            disabled=_names(environ.get("TPO_DISABLE_PLUGINS", "")),
            strict=environ.get("TPO_STRICT_PLUGINS", "").strip().lower() not in _FALSE,
        )

    def reason_off(self, provider: Provider) -> str:
        """Return why a plugin must not load; empty if it may."""
        names = {normalised(provider.name), normalised(provider.dist)}
        if names & self.disabled:
            return "named in TPO_DISABLE_PLUGINS"
        if self.allowed is None or provider.dist == "tpo" or names & self.allowed:
            return ""
        return "not named in TPO_PLUGINS"


def normalised(name: str) -> str:
    """Return a name as packaging compares it: lower case, with runs of `-_.` as one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(text: str) -> frozenset[str]:
    return frozenset(normalised(part.strip()) for part in text.split(",") if part.strip())
