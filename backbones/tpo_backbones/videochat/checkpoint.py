"""The model's own folder: config.json, safetensors in shards, the tokenizer's files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import init_empty_weights
from huggingface_hub import save_torch_state_dict, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tpo_backbones.videochat.config import VideoChatConfig
from tpo_backbones.videochat.model import VideoChatModel
from tpo_core.errors import InputError
from tpo_core.lora import base_state_dict
from tpo_core.resources import resolve

CONFIG_FILE = "config.json"


def find(checkpoint: str) -> Path:
    """Return the folder of a checkpoint, downloaded if it is a hub id.

    Raises:
        InputError: If there is none.
    """
    place = resolve(checkpoint)
    if Path(place).is_dir():
        return Path(place)
    try:
        return Path(snapshot_download(place, allow_patterns=["*.json", "*.safetensors", "*.model"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"no model at {checkpoint!r}: {reason}; give a folder or hub id"
        ) from error


def read_config(folder: Path) -> VideoChatConfig:
    """Read a folder's config.

    Raises:
        InputError: If it is missing, broken, or of another model.
    """
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; expected a config of VideoChat") from error
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise InputError(f"{path} holds a {kind}; expected the object of a VideoChat's config")
    try:
        return VideoChatConfig.from_json(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_model(folder: Path, *, dtype: torch.dtype | None, device: torch.device) -> VideoChatModel:
    """Build a model and read its weights, shard by shard and without first making others up.

    Args:
        folder: What `write_model` wrote.
        dtype: Of the weights; None for the stored one.
        device: Where to put them.

    Raises:
        InputError: If config or weights cannot be read or do not fit together.
    """
    config = read_config(folder)
    # Buffers that are not saved, such as rotary frequencies, keep the values and types they get.
    with init_empty_weights(include_buffers=False):
        model = VideoChatModel(config)
    expected = model.state_dict()
    missing = set(expected)
    for path in sorted(folder.glob("model*.safetensors")):
        shard = _read_shard(path, device)
        _check(shard, expected, path)
        tensors = {name: _typed(value, dtype) for name, value in shard.items()}
        model.load_state_dict(tensors, strict=False, assign=True)
        missing -= tensors.keys()
    if missing:
        raise InputError(f"{folder} lacks {_some(missing)}; get the whole checkpoint")
    return model.to(device).eval()


def write_model(model: VideoChatModel, folder: Path) -> None:
    """Write the model's own weights, without what PEFT injected, and its config."""
    folder.mkdir(parents=True, exist_ok=True)
    save_torch_state_dict(base_state_dict(model), folder)
    rows = len(model.get_input_embeddings().weight)
    config = replace(model.settings, language=replace(model.settings.language, vocabulary=rows))
    text = json.dumps(config.to_json(), indent=2)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def _read_shard(path: Path, device: torch.device) -> dict[str, Tensor]:
    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is broken ({error}); get it again") from error


def _check(shard: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors of other names, shapes or kinds than the config asks for."""
    if unknown := shard.keys() - expected.keys():
        raise InputError(
            f"{path} holds {_some(unknown)}, which the model does not have; config and weights are "
            "of different models"
        )
    for name, value in shard.items():
        wanted = expected[name]
        if value.shape != wanted.shape:
            raise InputError(
                f"{path}: {name} has shape {list(value.shape)}, expected {list(wanted.shape)}; "
                "config and weights are of different models"
            )
        if value.is_floating_point() != wanted.is_floating_point():
            raise InputError(
                f"{path}: {name} has type {value.dtype}, expected one like {wanted.dtype}; get the "
                "checkpoint in a floating-point type"
            )


def _typed(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def _some(names: set[str]) -> str:
    first, more = min(names), len(names) - 1
    return f"{first} and {more} more" if more else first
