"""Folders that heads' options name and that travel with a saved model, such as a SAM2 of its own.

In a saved config such an option reads `./files/<name>`; while the model is loaded it is an absolute
path. Folders elsewhere on the disk or on the hub stay where they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tpo_core.errors import CheckpointError
from tpo_core.saving.config import CONFIG, FILES

_PREFIX = f"./{FILES}/"

Options = Mapping[str, Mapping[str, Any]]


def located(heads: Options, folder: Path) -> dict[str, dict[str, Any]]:
    """Return head options as read from a config, with paths to what lies in the model's folder.

    Args:
        heads: Options by registered name of the head.
        folder: The saved model.

    Raises:
        CheckpointError: If a folder that an option names is not there.
    """

    def locate(value: str) -> str:
        if not value.startswith(_PREFIX):
            return value
        place = (folder / value).resolve()
        if place.parent != (folder / FILES).resolve() or not place.is_dir():
            raise CheckpointError(f"{folder} lacks the folder {value}; get the whole model again")
        return str(place)

    return {name: _mapped(options, locate) for name, options in heads.items()}


def portable(heads: Options) -> tuple[dict[str, dict[str, Any]], dict[str, Path]]:
    """Return head options as a config says them, and the folders to copy into the saved model.

    Args:
        heads: Options by registered name of the head.

    Returns:
        The options, and each folder's source by its name below `files/`.
    """
    sources: dict[str, Path] = {}

    def shorten(value: str) -> str:
        source = Path(value)
        inside = source.is_absolute() and source.parent.name == FILES and source.is_dir()
        if not inside or not (source.parent.parent / CONFIG).is_file():
            return value
        name = source.name
        while sources.setdefault(name, source) != source:
            name += "_"
        return _PREFIX + name

    return {name: _mapped(options, shorten) for name, options in heads.items()}, sources


def copy_files(sources: Mapping[str, Path], folder: Path) -> None:
    """Copy the folders that `portable` named into a saved model's folder."""
    for name, source in sources.items():
        shutil.copytree(source, folder / FILES / name)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text in nested mappings and lists."""
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value
