"""What a stage may change, as one flat mapping: written at checkpoints and between stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tpo_core.errors import CheckpointError
from tpo_core.files import whole_file
from tpo_core.model import TpoModel
from tpo_core.training.groups import BASE_GROUPS, parameter_groups


def training_state(model: TpoModel) -> dict[str, Tensor]:
    """Return LoRA, token rows, all of the heads, and the base groups trained so far, by name."""
    groups = parameter_groups(model)
    wanted = ["lora", "tokens", *(name for name in BASE_GROUPS if name in model.trained_groups)]
    state = {name: p.detach() for group in wanted for name, p in groups[group].items()}
    state |= {f"heads.{name}": value for name, value in model.heads.state_dict().items()}
    return state


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state as safetensors, whole or not at all.

    Raises:
        CheckpointError: It cannot be written; what stood at `path` before still does.
    """
    ready = {name: value.cpu().contiguous() for name, value in state.items()}
    try:
        with whole_file(path) as draft:
            save_file(ready, draft)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot write {path}: {error}; free space or choose another folder"
        ) from error


def load_state(model: TpoModel, path: Path) -> None:
    """Copy a state that `save_state` wrote into the model, bit by bit.

    Raises:
        CheckpointError: Names or shapes differ, or the file is broken.
    """
    current = dict(model.named_parameters()) | dict(model.named_buffers())
    try:
        with safe_open(path, framework="pt") as file:
            saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}; use an earlier checkpoint") from error
    for name, value in saved.items():
        if name not in current or current[name].shape != value.shape:
            got = list(value.shape)
            expected = list(current[name].shape) if name in current else "no such parameter"
            raise CheckpointError(
                f"{path}: {name} has shape {got}, the model has {expected}; resume with the same "
                "recipe and backbone"
            )
    for base in BASE_GROUPS:
        if parameter_groups(model)[base].keys() & saved.keys():
            model.trained_groups.add(base)
    for name, value in saved.items():
        current[name].data.copy_(value)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all.

    Raises:
        CheckpointError: It cannot be written.
    """
    try:
        with whole_file(path) as draft:
            draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror}; check permissions and free space"
        ) from error
