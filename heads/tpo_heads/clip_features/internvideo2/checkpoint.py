"""Reading chosen tensors of a released file, and fitting them strictly into a module on meta."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from tpo_core.errors import CheckpointError

_LISTED = 6


def read_tensors(path: str | Path, *, keep: Callable[[str], bool]) -> dict[str, Tensor]:
    """Read the tensors whose names `keep` accepts; the rest of the file is not loaded.

    Args:
        path: A `.safetensors` file, or a `.pt`/`.pth` file whose tensors lie flat or under a
            top-level key `module` or `model`. Nothing but tensors is unpickled.
        keep: Called with each name.

    Raises:
        CheckpointError: If the file is damaged, cut short, or holds something else.
    """
    try:
        if Path(path).suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys() if keep(name)}  # noqa: SIM118
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, or is no PyTorch file; nothing else is unpickled, so "
            "download it again, or save its tensors alone"
        ) from error
    except Exception as error:  # torch and safetensors raise whatever they stumble over
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path} cannot be read ({reason}); it may be cut short: compare its size and download "
            "it again"
        ) from error
    tensors = _unnested(content)
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors by name; expected a state dict")
    return {name: value for name, value in tensors.items() if keep(name)}


def _unnested(content: Any) -> dict[str, Tensor]:
    for key in ("module", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    named = content.items() if isinstance(content, Mapping) else ()
    return {name: value for name, value in named if isinstance(value, Tensor)}


def fit(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    source: str,
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Give a module on the meta device its weights, frozen and in evaluation mode.

    Args:
        module: Takes copies: the files may be memory-mapped.
        weights: By the module's names.
        source: The files, for errors.
        dtype: What to copy them as.
        device: Where to.

    Raises:
        CheckpointError: If names are missing or unknown or shapes differ; lists them.
    """
    expected = module.state_dict()
    problems = {
        "missing": [name for name in expected if name not in weights],
        "unknown": [name for name in weights if name not in expected],
        "of another shape": [
            f"{name} {list(weights[name].shape)} instead of {list(value.shape)}"
            for name, value in expected.items()
            if name in weights and weights[name].shape != value.shape
        ],
    }
    if any(problems.values()):
        told = "; ".join(
            f"{len(names)} {kind}: {', '.join(names[:_LISTED])}"
            + (", ..." if len(names) > _LISTED else "")
            for kind, names in problems.items()
            if names
        )
        raise CheckpointError(
            f"{source} does not fit {type(module).__name__} of {module.settings}: {told}"
        )
    copies = {name: value.to(device, dtype, copy=True) for name, value in weights.items()}
    module.load_state_dict(copies, assign=True)
    module.eval().requires_grad_(False)
