"""Find the entry points of installed distributions that declare a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

from tpo_core.hookspecs import PROJECT
from tpo_core.registry.status import Provider, normalised


def find_entry_points() -> list[tuple[Provider, EntryPoint]]:
    """Return every plugin's entry point with its origin, the `tpo` distribution's own first.

    Of a distribution that stands on the path twice the first counts, as for imports. One whose
    entry points cannot be parsed is skipped: its name for the plugin is not known either.
    """
    found = [pair for dist in distributions() for pair in _entry_points_of(dist)]
    first: dict[tuple[str, str], tuple[Provider, EntryPoint]] = {}
    for provider, entry_point in found:
        first.setdefault((normalised(provider.dist), provider.name), (provider, entry_point))
    return sorted(first.values(), key=lambda pair: _load_order(pair[0]))


def _entry_points_of(dist: Distribution) -> Iterator[tuple[Provider, EntryPoint]]:
    entry_points: Iterable[EntryPoint]
    try:
        entry_points = dist.entry_points.select(group=PROJECT)
    except Exception:
        return
    for entry_point in entry_points:
        provider = Provider(
            name=entry_point.name,
            dist=_field(dist, "Name", default=entry_point.name),
            version=_field(dist, "Version", default="unknown"),
        )
        yield provider, entry_point


def _field(dist: Distribution, name: str, *, default: str) -> str:
    """Return a metadata field; a half-removed installation has entry points but no metadata."""
    values = dist.metadata.get_all(name)
    return str(values[0]) if values else default


def _load_order(provider: Provider) -> tuple[bool, str, str]:
    return provider.dist != PROJECT, normalised(provider.dist), provider.name
