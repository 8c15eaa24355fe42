"""The hooks a plugin may implement; docs/plugins.md shows each with an example.

A hookimpl takes any subset of its hook's parameters, by name and without defaults. A plugin
module is imported whenever plugins are listed, so it imports neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

from tpo_core.specs import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec

PROJECT = "tpo"
"""Marker name, and the entry-point group that plugins are found in."""

PREFIX = "tpo_"
"""What every hook's name starts with."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tpo_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Register backbone adapters.

    Returns:
        Specs whose `target` is a subclass of `tpo_core.BackboneAdapter`.
    """


@hookspec
def tpo_heads() -> Iterable[HeadSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Register task heads.

    Returns:
        Specs whose `target` is a subclass of `tpo_core.TaskHead`.
    """


@hookspec
def tpo_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Register readers of datasets.

    Returns:
        Specs whose `target` is a callable.
    """


@hookspec
def tpo_benchmarks() -> Iterable[BenchmarkSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Register benchmarks.

    Returns:
        Specs whose `target` is a callable.
    """


@hookspec
def tpo_before_attach(backbone: str, heads: Mapping[str, Mapping[str, Any]]) -> None:
    """Look at what is about to be attached; an exception vetoes it.

    Args:
        backbone: Name, path or hub id of the backbone, as the user gave it.
        heads: Options of each head that will be attached, by head name.

    Raises:
        Exception: Any, to veto; the user sees it with the plugin's name.
    """


@hookspec
def tpo_after_attach(model: object) -> None:
    """Look at, or change in place, the model that was just attached; an exception vetoes it.

    Args:
        model: The `tpo_core.model.TpoModel` that `attach` is about to return.

    Raises:
        Exception: Any, to veto; the user sees it with the plugin's name.
    """
