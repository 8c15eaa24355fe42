"""What is registered: list it, look it up by name, and import it on first use.

Listing reads specs only and imports neither torch nor transformers; the `load_*` functions do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from tpo_core.errors import PluginError, UnknownName
from tpo_core.registry.manager import Entry, Registry, load_plugins
from tpo_core.registry.resolve import resolve_callable, resolve_class
from tpo_core.registry.status import PluginStatus, Provider, Status, Switches
from tpo_core.specs import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec, Spec

if TYPE_CHECKING:
    from tpo_core.backbone import BackboneAdapter
    from tpo_core.head import TaskHead

__all__ = [
    "Entry",
    "PluginStatus",
    "Provider",
    "Registry",
    "Status",
    "Switches",
    "after_attach",
    "backbone_for_model_type",
    "before_attach",
    "get_backbone",
    "get_benchmark",
    "get_dataset",
    "get_head",
    "list_backbones",
    "list_benchmarks",
    "list_datasets",
    "list_heads",
    "load_backbone",
    "load_benchmark",
    "load_dataset",
    "load_head",
    "plugins",
    "provider_of",
    "registry",
]


@cache
def registry() -> Registry:
    """Return the process's registry; the first call loads the installed plugins."""
    return load_plugins()


def plugins() -> list[PluginStatus]:
    """Return every installed plugin with its hooks, its status and, if it failed, why."""
    return registry().statuses()


def list_backbones() -> list[BackboneSpec]:
    """Return the registered backbones, sorted by name.

    Raises:
        PluginError: Two plugins registered one name, or one failed under `TPO_STRICT_PLUGINS`.
    """
    return [entry.spec for entry in registry().entries(BackboneSpec)]


def list_heads() -> list[HeadSpec]:
    """Return the registered heads, sorted by name.

    Raises:
        PluginError: Two plugins registered one name, or one failed under `TPO_STRICT_PLUGINS`.
    """
    return [entry.spec for entry in registry().entries(HeadSpec)]


def list_datasets() -> list[DatasetSpec]:
    """Return the registered datasets, sorted by name.

    Raises:
        PluginError: Two plugins registered one name, or one failed under `TPO_STRICT_PLUGINS`.
    """
    return [entry.spec for entry in registry().entries(DatasetSpec)]


def list_benchmarks() -> list[BenchmarkSpec]:
    """Return the registered benchmarks, sorted by name.

    Raises:
        PluginError: Two plugins registered one name, or one failed under `TPO_STRICT_PLUGINS`.
    """
    return [entry.spec for entry in registry().entries(BenchmarkSpec)]


def get_backbone(name: str) -> BackboneSpec:
    """Return a registered backbone's spec.

    Raises:
        UnknownName: No backbone has the name.
    """
    return registry().entry(BackboneSpec, name).spec


def get_head(name: str) -> HeadSpec:
    """Return a registered head's spec.

    Raises:
        UnknownName: No head has the name.
    """
    return registry().entry(HeadSpec, name).spec


def get_dataset(name: str) -> DatasetSpec:
    """Return a registered dataset's spec.

    Raises:
        UnknownName: No dataset has the name.
    """
    return registry().entry(DatasetSpec, name).spec


def get_benchmark(name: str) -> BenchmarkSpec:
    """Return a registered benchmark's spec.

    Raises:
        UnknownName: No benchmark has the name.
    """
    return registry().entry(BenchmarkSpec, name).spec


SpecT = TypeVar("SpecT", bound=Spec)


def provider_of(kind: type[SpecT], name: str) -> Provider:
    """Return which plugin of which distribution registered a name.

    Args:
        kind: The spec type, such as `HeadSpec`.
        name: The registered name.

    Raises:
        UnknownName: Nothing has the name.
    """
    return registry().entry(kind, name).provider


def load_backbone(name: str) -> type[BackboneAdapter]:
    """Import a backbone's adapter class.

    Raises:
        UnknownName: No backbone has the name.
        MissingDependency: A package it needs is absent; the message says how to install it.
        PluginError: Its target is absent, broken, or no concrete `BackboneAdapter`.
    """
    entry = registry().entry(BackboneSpec, name)
    from tpo_core.backbone import BackboneAdapter

    return resolve_class(entry, base=BackboneAdapter)


def load_head(name: str) -> type[TaskHead]:
    """Import a head's class.

    Raises:
        UnknownName: No head has the name.
        MissingDependency: A package it needs is absent; the message says how to install it.
        PluginError: Its target is absent, broken, or no concrete `TaskHead`.
    """
    entry = registry().entry(HeadSpec, name)
    from tpo_core.head import TaskHead

    found: type[TaskHead] = resolve_class(entry, base=TaskHead)
    if getattr(found, "tokens", None) != entry.spec.tokens:
        raise PluginError(
            f"head {name!r} of {entry.provider}: class {found.__qualname__} and its spec declare "
            f"different tokens; let both use one tuple"
        )
    return found


def load_dataset(name: str) -> Callable[..., Any]:
    """Import a dataset's reader.

    Raises:
        UnknownName: No dataset has the name.
        MissingDependency: A package it needs is absent; the message says how to install it.
        PluginError: Its target is absent, broken, or cannot be called.
    """
    return resolve_callable(registry().entry(DatasetSpec, name))


def load_benchmark(name: str) -> Callable[..., Any]:
    """Import a benchmark.

    Raises:
        UnknownName: No benchmark has the name.
        MissingDependency: A package it needs is absent; the message says how to install it.
        PluginError: Its target is absent, broken, or cannot be called.
    """
    return resolve_callable(registry().entry(BenchmarkSpec, name))


def backbone_for_model_type(model_type: str) -> BackboneSpec:
    """Return the backbone that serves a transformers model type.

    A backbone that names the type wins over one that serves the rest (`"*"`).

    Args:
        model_type: `config.model_type` of a checkpoint.

    Raises:
        UnknownName: No backbone serves it.
        PluginError: Several do.
    """
    specs = list_backbones()
    for wanted in (model_type, "*"):
        found = [spec for spec in specs if wanted in spec.model_types]
        if len(found) > 1:
            who = " and ".join(
                f"backbone {spec.name!r} of {provider_of(BackboneSpec, spec.name)}"
                for spec in found
            )
            raise PluginError(
                f"model type {model_type!r} is served by {who}; name the backbone to use, or "
                f"switch one off with TPO_DISABLE_PLUGINS"
            )
        if found:
            return found[0]
    known = {name for spec in specs for name in spec.model_types}
    raise UnknownName("model type", model_type, known)


def before_attach(backbone: str, heads: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell plugins what is about to be attached.

    Args:
        backbone: Name, path or hub id of the backbone, as the user gave it.
        heads: Options of each head that will be attached, by head name.

    Raises:
        PluginError: A plugin vetoed it.
    """
    registry().call("tpo_before_attach", backbone=backbone, heads=heads)


def after_attach(model: object) -> None:
    """Tell plugins about the model that was just attached.

    Args:
        model: What `attach` is about to return.

    Raises:
        PluginError: A plugin vetoed it.
    """
    registry().call("tpo_after_attach", model=model)
