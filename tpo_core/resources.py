"""Where a checkpoint named by the user lies: a folder, an installed package's file, or the hub."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from tpo_core.errors import InputError

PACKAGE_PREFIX = "package:"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve(checkpoint: str) -> str:
    """Return a path or hub id for what a user may write as a checkpoint.

    Args:
        checkpoint: A folder, a hub id (`"owner/name"`), or `"package:module/folder"` for files that
            an installed package carries.

    Raises:
        InputError: If the folder or package does not exist.
    """
    if checkpoint.startswith(PACKAGE_PREFIX):
        return str(package_folder(checkpoint.removeprefix(PACKAGE_PREFIX)))
    path = Path(checkpoint).expanduser()
    if path.exists():
        return str(path)
    looks_local = checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") != 1
    if looks_local or path.parent.is_dir():
        raise InputError(f"checkpoint {checkpoint!r} does not exist{_nearest(path)}")
    return checkpoint


def looks_like_hub_id(name: str) -> bool:
    """Tell whether a name is shaped like a hub id, `owner/name`, and is no relative path."""
    return _HUB_ID.fullmatch(name) is not None and not name.startswith(".")


def package_folder(place: str) -> Path:
    """Return the path of `"module/folder"` inside an installed package, without importing it.

    Raises:
        InputError: If the package is not installed or holds no such file.
    """
    module, _, inner = place.partition("/")
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"package {module!r} of checkpoint 'package:{place}' is not installed")
    folders = [Path(root) / inner for root in spec.submodule_search_locations]
    found = next((folder for folder in folders if folder.exists()), None)
    if found is None:
        raise InputError(f"package {module!r} holds no {inner!r}{_nearest(folders[0])}")
    return found


def _nearest(path: Path) -> str:
    """Return a hint naming a sibling of almost the same name, if there is one."""
    try:
        siblings = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return "; check the path, or give a hub id as owner/name"
    near = get_close_matches(path.name, siblings, n=1)
    if near:
        return f"; did you mean {str(path.parent / near[0])!r}?"
    return "; check the path, or give a hub id as owner/name"
