"""Load plugins one by one, so that a broken one is reported and never stops the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

import pluggy

from tpo_core import hookspecs
from tpo_core.errors import PluginError, UnknownName
from tpo_core.registry.checks import checked_specs
from tpo_core.registry.discovery import find_entry_points
from tpo_core.registry.signatures import hooks_of, signature_violations
from tpo_core.registry.status import PluginStatus, Provider, Status, Switches, normalised
from tpo_core.specs import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec, Spec

_log = logging.getLogger("tpo")
SpecT = TypeVar("SpecT", bound=Spec)

COLLECTING: Mapping[str, type[Spec]] = {
    "tpo_backbones": BackboneSpec,
    "tpo_heads": HeadSpec,
    "tpo_datasets": DatasetSpec,
    "tpo_benchmarks": BenchmarkSpec,
}
"""The collecting hooks, and what each returns an iterable of."""

KIND: Mapping[type[Spec], str] = {
    BackboneSpec: "backbone",
    HeadSpec: "head",
    DatasetSpec: "dataset",
    BenchmarkSpec: "benchmark",
}
"""The word for each kind of spec."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry(Generic[SpecT]):
    """A spec and who registered it."""

    spec: SpecT
    provider: Provider


class Registry:
    """The plugins that were loaded, what they registered, and what failed.

    Args:
        switches: Which plugins may load, and whether a failure is an error.
    """

    def __init__(self, *, switches: Switches | None = None) -> None:
        self.switches = switches or Switches()
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._providers: dict[str, Provider] = {}
        self._rows: list[PluginStatus] = []
        self._entries: list[Entry[Any]] = []

    def load(self, found: Iterable[tuple[Provider, EntryPoint]]) -> None:
        """Import and add the plugins of entry points, each on its own.

        Args:
            found: Entry points with their origin.
        """
        seen: set[str] = set()
        for provider, entry_point in found:
            seen |= {normalised(provider.name), normalised(provider.dist)}
            if reason := self.switches.reason_off(provider):
                self._record(provider, status=Status.DISABLED, error=reason)
                continue
            try:
                plugin = entry_point.load()
            except (Exception, SystemExit) as error:
                self._record(provider, status=Status.ERROR, error=f"cannot import: {_told(error)}")
                continue
            self.add(plugin, provider=provider)
        for name in sorted((self.switches.allowed or frozenset()) - seen):
            near = get_close_matches(name, seen, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self._record(
                Provider(name=name),
                status=Status.MISSING,
                error=f"TPO_PLUGINS names it but it is not installed{hint}",
            )

    def add(self, plugin: object, *, provider: Provider) -> None:
        """Register a plugin; on any violation nothing of it is kept and its row says why.

        Args:
            plugin: A module or object that holds hookimpls.
            provider: Its name and origin.
        """
        key = f"{provider.dist}:{provider.name}"
        if self._pluggy.has_plugin(key):
            self._record(provider, status=Status.ERROR, error="registered twice; keep one")
            return
        hooks: tuple[str, ...] = ()
        try:
            self._pluggy.register(plugin, name=key)
            hooks = hooks_of(self._pluggy, plugin)
            if violations := signature_violations(self._pluggy, plugin):
                raise PluginError("; ".join(violations))
            entries = self._collect(plugin, provider=provider)
        except (Exception, SystemExit) as error:
            # pluggy 1.6 keeps the hookimpls it saw before the one that failed.
            if self._pluggy.has_plugin(key):
                self._pluggy.unregister(name=key)
            self._record(provider, status=Status.ERROR, error=_told(error), hooks=hooks)
            return
        self._providers[key] = provider
        self._entries.extend(entries)
        provides = tuple(f"{KIND[type(entry.spec)]} {entry.spec.name}" for entry in entries)
        self._rows.append(PluginStatus(provider=provider, hooks=hooks, provides=provides))

    def statuses(self) -> list[PluginStatus]:
        """Return one row a plugin, sorted by name and distribution; never raises."""
        rows = []
        for row in self._rows:
            clashes = [text for who, text in self._clashes() if row.provider in who]
            if clashes and row.status is Status.OK:
                row = replace(row, status=Status.CONFLICT, error="; ".join(clashes))
            rows.append(row)
        return sorted(rows, key=lambda row: (row.name, row.dist))

    def entries(self, kind: type[SpecT]) -> list[Entry[SpecT]]:
        """Return everything registered of a kind, sorted by name.

        Args:
            kind: The spec type.

        Raises:
            PluginError: Two plugins registered one name; or a plugin failed and
                `TPO_STRICT_PLUGINS` is set.
        """
        self._raise_if_strict()
        if clashes := [text for _, text in self._clashes(kind)]:
            raise PluginError("; ".join(clashes))
        return sorted(self._of(kind), key=lambda entry: entry.spec.name)

    def entry(self, kind: type[SpecT], name: str) -> Entry[SpecT]:
        """Return what is registered under a name.

        Args:
            kind: The spec type.
            name: The registered name.

        Raises:
            UnknownName: Nothing is; the message suggests the nearest name and counts failed
                plugins.
            PluginError: Two plugins registered the name; or a plugin failed and
                `TPO_STRICT_PLUGINS` is set.
        """
        self._raise_if_strict()
        found = [entry for entry in self._of(kind) if entry.spec.name == name]
        if not found:
            known = {entry.spec.name for entry in self._of(kind)}
            raise UnknownName(KIND[kind], name, known, note=self._failure_note())
        if len(found) > 1:
            raise PluginError(_clash_text(kind, name, [entry.provider for entry in found]))
        return found[0]

    def call(self, hook: str, **arguments: object) -> None:
        """Call an event hook on every plugin that implements it.

        Args:
            hook: The hook's name.
            **arguments: All of its parameters.

        Raises:
            PluginError: A hookimpl raised; the message names its plugin. Later ones are not called.
        """
        self._raise_if_strict()
        # pluggy keeps hookimpls in reverse order of calling (tryfirst stands last).
        for impl in reversed(getattr(self._pluggy.hook, hook).get_hookimpls()):
            try:
                impl.function(*(arguments[name] for name in impl.argnames))
            except Exception as error:
                provider = self._providers[impl.plugin_name]
                raise PluginError(f"{provider} vetoed in {hook}: {_told(error)}") from error

    def _record(
        self, provider: Provider, *, status: Status, error: str = "", hooks: tuple[str, ...] = ()
    ) -> None:
        row = PluginStatus(provider=provider, hooks=hooks, status=status, error=error)
        self._rows.append(row)

    def _collect(self, plugin: object, *, provider: Provider) -> list[Entry[Any]]:
        entries: list[Entry[Any]] = []
        for hook, kind in COLLECTING.items():
            for impl in getattr(self._pluggy.hook, hook).get_hookimpls():
                if impl.plugin is not plugin:
                    continue
                try:
                    specs = checked_specs(impl.function(), expected=kind)
                except Exception as error:
                    raise PluginError(f"{hook}: {_told(error)}") from error
                entries.extend(Entry(spec=spec, provider=provider) for spec in specs)
        return entries

    def _of(self, kind: type[SpecT]) -> list[Entry[SpecT]]:
        return [entry for entry in self._entries if type(entry.spec) is kind]

    def _clashes(self, kind: type[Spec] | None = None) -> list[tuple[list[Provider], str]]:
        """Return who registered one name, and the sentence about it, for every such name."""
        by_name: dict[tuple[type[Spec], str], list[Provider]] = {}
        for entry in self._entries:
            by_name.setdefault((type(entry.spec), entry.spec.name), []).append(entry.provider)
        return [
            (providers, _clash_text(of, name, providers))
            for (of, name), providers in by_name.items()
            if len(providers) > 1 and kind in (None, of)
        ]

    def _failure_note(self) -> str:
        failed = sorted({row.name for row in self.statuses() if row.failed})
        return f"plugins that failed: {', '.join(failed)} (see `tpo plugins`)" if failed else ""

    def _raise_if_strict(self) -> None:
        if not self.switches.strict:
            return
        if failed := [row for row in self.statuses() if row.failed]:
            told = "; ".join(f"{row.provider}: {row.error}" for row in failed)
            raise PluginError(f"TPO_STRICT_PLUGINS is set and plugins failed: {told}")


def load_plugins() -> Registry:
    """Load every installed plugin that the environment allows, and log the ones that failed."""
    registry = Registry(switches=Switches.from_environment())
    registry.load(find_entry_points())
    for row in registry.statuses():
        if row.failed:
            _log.warning("%s: %s", row.provider, row.error)
    return registry


def _clash_text(kind: type[Spec], name: str, providers: list[Provider]) -> str:
    who = " and ".join(str(provider) for provider in providers)
    return (
        f"{KIND[kind]} {name!r} is registered by {who}; "
        f"switch one off with TPO_DISABLE_PLUGINS or uninstall it"
    )


def _told(error: BaseException) -> str:
    """Return an error in one line, with its type unless it is ours."""
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
