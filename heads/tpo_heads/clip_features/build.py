"""Which feature source a head's option `features` names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from tpo_core.errors import InputError
from tpo_heads.clip_features.source import FeatureSource

# Imported on first use: a source may bring a large model or an optional package.
SOURCES = {
    "backbone": "tpo_heads.clip_features.backbone:BackboneSource",
    "files": "tpo_heads.clip_features.files:FileSource",
    "internvideo2": "tpo_heads.clip_features.internvideo2:InternVideo2Source",
}

Features = str | Mapping[str, Mapping[str, Any]]


def build_source(features: Features, *, hidden_size: int) -> FeatureSource:
    """Build the source that a head's option names.

    Args:
        features: A source's name, or `{name: {option: value}}`: `"backbone"`,
            `{"files": {"videos": "features/clip", "clip_length": 2.0}}`.
        hidden_size: Width of the backbone's hidden states.

    Raises:
        InputError: If it names no source, or the source does not take its options.
    """
    named = {features: {}} if isinstance(features, str) else features
    if not isinstance(named, Mapping) or len(named) != 1 or next(iter(named)) not in SOURCES:
        raise InputError(
            f"head option features is {features!r}; expected a source's name, or one name with its "
            f"options, out of {', '.join(SOURCES)}"
        )
    ((name, options),) = named.items()
    module, _, attribute = SOURCES[name].partition(":")
    source = getattr(import_module(module), attribute)
    try:
        built = source(hidden_size, **options)
    except TypeError as error:
        raise InputError(
            f"feature source {name!r} with options {options!r}: {error}; {name!r} takes "
            f"{', '.join(option_names(source)) or 'none'}"
        ) from error
    assert isinstance(built, FeatureSource)
    return built


def option_names(build: Callable[..., Any]) -> list[str]:
    """Return the names of what a constructor takes by keyword alone."""
    parameters = inspect.signature(build).parameters.values()
    return [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
