"""What a plugin registers: small frozen records that import neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tpo_core.tokens import TaskToken

API_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """What every kind of plugin entry declares.

    Args:
        name: Unique name, as users type it.
        target: Where the implementation lives, `"package.module:Attribute"`; imported on first use.
        requires: Import names that must be present, checked before `target` is imported.
        install_hint: The command that installs them, shown when one is missing.
        summary: One line for listings.
        api: Version of the plugin interface the entry was written for.
    """

    name: str
    target: str
    requires: tuple[str, ...] = ()
    install_hint: str = ""
    summary: str = ""
    api: int = API_VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec(Spec):
    """A backbone adapter.

    Args:
        model_types: transformers `config.model_type` values that this adapter serves; `("*",)` for
            those that no other adapter names.
        checkpoint: What the bare name loads: a hub id, a path, or `"package:module/folder"` for
            files inside an installed package; empty if a user must always give one.
        head_options: Options that heads get by default on this backbone, by head name.
    """

    model_types: tuple[str, ...] = ()
    checkpoint: str = ""
    head_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadSpec(Spec):
    """A task head and the tokens it brings.

    Args:
        tokens: Its task tokens, in the order their ids are appended.
    """

    tokens: tuple[TaskToken, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec(Spec):
    """A reader that turns files as released into records.

    Args:
        tasks: Tasks its records carry targets for.
        licence: Licence of the data, as its home page names it.
        home: Where the data comes from.
        files: Files expected below the data folder.
        splits: Names of its splits, as its reader takes them; empty if they depend on the data.
    """

    tasks: tuple[str, ...] = ()
    licence: str = ""
    home: str = ""
    files: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSpec(Spec):
    """A benchmark: data, protocol and metrics.

    Args:
        metrics: Names of the figures it reports.
    """

    metrics: tuple[str, ...] = ()
