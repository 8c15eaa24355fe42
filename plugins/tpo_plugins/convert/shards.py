"""Folders of safetensors files, read lazily by tensor and written shard by shard.

No more than one shard is held in memory. A shard appears under its name once it is whole, so that
an interrupted conversion goes on with those that are missing.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tpo_core.errors import CheckpointError

if TYPE_CHECKING:
    import torch

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
SHARD_BYTES: Final = 1 << 30


class Header(NamedTuple):
    """What a file says of a tensor before it is read.

    Args:
        shape: Its shape.
        dtype: Its type as safetensors writes it, such as `"BF16"`.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * int(re.sub(r"\D+", "", self.dtype) or 8) // 8


class ShardedCheckpoint:
    """The tensors of a folder, each in one of its files, or those of one file.

    Args:
        place: A folder with `model.safetensors.index.json` and its shards, or with
            `model.safetensors`; or the path of a `.safetensors` file.

    Attributes:
        folder: Where the files lie.
        files: The file of each tensor by its name.

    Raises:
        CheckpointError: If it is neither, a file is broken, or the index names one that is absent.
    """

    def __init__(self, place: Path) -> None:
        self._open: tuple[Path, Any] | None = None
        is_file = place.suffix == ".safetensors" and not place.is_dir()
        self.folder = place.parent if is_file else place
        index, single = place / INDEX, place if is_file else place / SINGLE
        if not is_file and index.is_file():
            self.files = self._from_index(index)
        elif is_file or single.is_file():
            self.files = dict.fromkeys(self._reader(single).keys(), single)
        else:
            raise CheckpointError(
                f"{place} holds neither {INDEX} nor {SINGLE}; expected a folder of safetensors"
            )

    def _from_index(self, index: Path) -> dict[str, Path]:
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            files = {str(name): self.folder / str(file) for name, file in named.items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{index} cannot be read ({error}); get it again") from error
        if absent := sorted({path.name for path in files.values() if not path.is_file()}):
            raise CheckpointError(
                f"{index} names {', '.join(absent)}, which {self.folder} lacks; get the whole "
                "checkpoint"
            )
        return files

    @cached_property
    def headers(self) -> dict[str, Header]:
        """Shape and type of every tensor, read from the files' headers.

        Raises:
            CheckpointError: If a file is broken, or lacks a tensor that the index says it holds.
        """
        found: dict[str, Header] = {}
        for name in sorted(self.files, key=lambda name: (self.files[name], name)):
            part = self._slice(name)
            found[name] = Header(tuple(part.get_shape()), part.get_dtype())
        return found

    def read(self, name: str) -> torch.Tensor:
        """Read one tensor.

        Raises:
            CheckpointError: If its file is broken.
        """
        from safetensors import SafetensorError

        path = self.files[name]
        try:
            tensor: torch.Tensor = self._reader(path).get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} is broken ({error}); get it again") from error
        return tensor

    def close(self) -> None:
        """Let go of the file that was read last: its pages count as memory while it is mapped."""
        self._open = None

    def _slice(self, name: str) -> Any:
        from safetensors import SafetensorError

        path = self.files[name]
        try:
            return self._reader(path).get_slice(name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} does not hold {name} ({error}), although the index says so; get both again"
            ) from error

    def _reader(self, path: Path) -> Any:
        """Return the file's reader; one file is open at a time."""
        from safetensors import SafetensorError, safe_open

        if self._open is None or self._open[0] != path:
            try:
                self._open = path, safe_open(path, framework="pt")
            except FileNotFoundError as error:
                raise CheckpointError(f"{path} is missing; get it again") from error
            except (OSError, SafetensorError) as error:
                raise CheckpointError(
                    f"{path} is broken or cut short ({error}); get it again"
                ) from error
        return self._open[1]


def plan_shards(
    sizes: Mapping[str, int], *, limit: int = SHARD_BYTES
) -> list[tuple[str, list[str]]]:
    """Share tensors out to files, in their order.

    Args:
        sizes: Bytes of each tensor by name.
        limit: Bytes of a file; a larger tensor gets one to itself.

    Returns:
        Name and tensors of each file; a single one is called `model.safetensors`.
    """
    groups: list[list[str]] = [[]]
    held = 0
    for name, size in sizes.items():
        if groups[-1] and held + size > limit:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    if len(groups) == 1:
        return [(SINGLE, groups[0])]
    count = len(groups)
    return [
        (f"model-{number:05d}-of-{count:05d}.safetensors", names)
        for number, names in enumerate(groups, start=1)
    ]


def check_space(folder: Path, *, needed: int) -> None:
    """Check that a disk has room before anything is written.

    Args:
        folder: Where to write; it, or folders above it, may not be there yet.
        needed: Bytes.

    Raises:
        CheckpointError: If it has not.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(above).free
    if needed > free:
        raise CheckpointError(
            f"{above} has {free / 1e9:.1f} GB free and the conversion needs {needed / 1e9:.1f} GB "
            "more; free space or choose another disk"
        )


def write_shards(
    folder: Path,
    shards: Iterable[tuple[str, list[str]]],
    make: Callable[[str], torch.Tensor],
    *,
    sizes: Mapping[str, int],
    done: Callable[[str], object] = lambda file: None,
) -> None:
    """Write files that are not there yet, and an index if there are several.

    Args:
        folder: Where to; made if need be.
        shards: From `plan_shards`.
        make: Gives a tensor by its name.
        sizes: Bytes of each tensor.
        done: Called with the name of each file that is whole.

    Raises:
        OSError: If something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = list(shards)
    for file, names in shards:
        if not (folder / file).is_file():
            write_file(folder / file, {name: make(name) for name in names})
        done(file)
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(sizes.values())},
            "weight_map": {name: file for file, names in shards for name in names},
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def write_file(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write one safetensors file, under its name once it is whole.

    Raises:
        OSError: If it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    try:
        ready = {name: value.contiguous() for name, value in tensors.items()}
        save_file(ready, draft, metadata={"format": "pt"})
        draft.chmod(0o644)
        os.replace(draft, path)
    except SafetensorError as error:  # what it makes of a full disk
        raise OSError(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
