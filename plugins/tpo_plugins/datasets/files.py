"""Find a dataset's files below the folder the user gave, or say which file was looked for where."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tpo_core.errors import InputError, UnknownName
from tpo_core.media.image import IMAGE_SUFFIXES
from tpo_core.media.open import VIDEO_SUFFIXES
from tpo_core.media.types import MediaKind
from tpo_core.records.schema import MediaRef

_SUFFIXES: Mapping[MediaKind, Collection[str]] = {"image": IMAGE_SUFFIXES, "video": VIDEO_SUFFIXES}
_DEFAULT: Mapping[MediaKind, str] = {"image": ".jpg", "video": ".mp4"}


def data_folder(source: str | os.PathLike[str]) -> Path:
    """Return the folder of a dataset.

    Raises:
        InputError: If there is no such folder.
    """
    folder = Path(source)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; expected the folder that holds the dataset's files")
    return folder


def find_file(root: Path, *names: str) -> Path:
    """Return a file below a folder: in it, or in a folder at most two levels down.

    Args:
        root: The data folder.
        names: What the file may be called, the first that is found counts; a name may hold folders.

    Raises:
        InputError: If none is there, or one is there twice.
    """
    found = find_optional(root, *names)
    if found is None:
        raise InputError(
            f"no {' or '.join(names)} was found in {root} or in folders up to two levels below; "
            "put the file there, or give the folder that holds it"
        )
    return found


def find_optional(root: Path, *names: str) -> Path | None:
    """Return a file as `find_file` does, or None if it is not there.

    Raises:
        InputError: If it is there twice.
    """
    for name in names:
        for pattern in (name, f"*/{name}", f"*/*/{name}"):
            found = sorted(path for path in root.glob(pattern) if path.is_file())
            if len(found) > 1:
                both = " and ".join(str(path) for path in found[:2])
                raise InputError(f"{name} is there twice, {both}; give the folder of one of them")
            if found:
                return found[0]
    return None


def split_files(
    root: Path, names: Mapping[str, str | Sequence[str]], *, split: str | None
) -> dict[str, Path]:
    """Return the annotation file of each split that is wanted.

    Args:
        root: The data folder.
        names: By split, what its file may be called; see `find_file`.
        split: The only split wanted; every one whose file is there if None.

    Raises:
        UnknownName: If the dataset has no such split.
        InputError: If the split's file is missing, or without `split` all of them are.
    """
    options = {key: (each,) if isinstance(each, str) else each for key, each in names.items()}
    if split is not None and split not in options:
        raise UnknownName("split", split, options)
    wanted = options if split is None else {split: options[split]}
    places = {key: find_optional(root, *each) for key, each in wanted.items()}
    found = {key: path for key, path in places.items() if path is not None}
    if not found:
        find_file(root, *(name for each in wanted.values() for name in each))  # raises
    return found


def locate(root: Path, path: str, *, folders: Sequence[str]) -> str:
    """Return where a media path of a release is below the data folder.

    Args:
        root: The data folder.
        path: The path as released.
        folders: Folders below `root` that it may be relative to; empty for `root` itself.

    Returns:
        The path below `root` in the first folder that has it; in the first of all if none has.
    """
    places = [f"{folder}/{path}" if folder else path for folder in folders]
    return next((it for it in places if os.path.exists(os.path.join(root, it))), places[0])


class MediaFiles:
    """The pictures or videos anywhere below a folder, by their names without suffixes.

    Releases name a video by an id, but how it was downloaded decides its suffix and folder. The
    folder is gone through once, at the first question.

    Args:
        root: The data folder, which paths are relative to.
        kind: Whether to look for pictures or videos.
    """

    def __init__(self, root: Path, kind: MediaKind = "video") -> None:
        self.root, self.kind = root, kind

    def find(self, stem: str) -> str | None:
        """Return the path below `root` of the file of this name, whatever its suffix, or None.

        Of several the first by path counts.
        """
        return self._paths.get(stem)

    def ref(self, *stems: str, default: str = "") -> MediaRef:
        """Return the media of the first of some names that is there.

        A file that is missing does not stop reading: its record is quarantined where media are
        decoded, so it is named as `default`, or as the first name with the usual suffix.
        """
        found = next((path for stem in stems if (path := self.find(stem))), None)
        expected = default or stems[0] + _DEFAULT[self.kind]
        return MediaRef(type=self.kind, path=found or expected)

    @cached_property
    def _paths(self) -> dict[str, str]:
        found: dict[str, str] = {}
        seen: set[str] = set()  # a link may lead back to a folder above it
        for folder, folders, files in os.walk(self.root, followlinks=True):
            if (place := os.path.realpath(folder)) in seen:
                folders.clear()
                continue
            seen.add(place)
            folders.sort()
            below = Path(folder).relative_to(self.root)
            for name in sorted(files):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in _SUFFIXES[self.kind]:
                    path = (below / name).as_posix()
                    found.setdefault(stem, path)
                    # Downloaders add a suffix of their own: `a.mov.mp4` is the video `a` too.
                    inner, suffix = os.path.splitext(stem)
                    if suffix.lower() in _SUFFIXES[self.kind]:
                        found.setdefault(inner, path)
        return found
