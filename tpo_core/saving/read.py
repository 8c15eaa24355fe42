"""Read a model back from a folder or the hub: strictly, and bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tpo_core import registry
from tpo_core.backbone import BackboneAdapter
from tpo_core.build import assemble
from tpo_core.errors import CheckpointError, InputError, UnknownName
from tpo_core.head import TaskHead
from tpo_core.loading import load_backbone
from tpo_core.lora import LoraSettings
from tpo_core.model import Origin, TpoModel
from tpo_core.saving import config as names
from tpo_core.saving.config import SavedConfig, read_config
from tpo_core.saving.files import located
from tpo_core.saving.hub import fetch
from tpo_core.saving.write import adapter_tensors, base_tensors


def load(
    source: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    attention: str = "auto",
) -> TpoModel:
    """Load a model that `save` wrote, in evaluation mode.

    Args:
        source: A folder or hub id.
        dtype: Of the backbone; by default as saved, but fp32 for half types on a CPU, where they
            are slow.
        device: Where to put the model; CUDA if there is one.
        attention: `auto` or a kernel's name, see `tpo_core.attention.choose`.

    Raises:
        CheckpointError: If there is no saved model, or its weights, tokens, heads or backbone do
            not fit together.
        MissingDependency: If a head or backbone needs a package that is not installed.
    """
    folder = fetch(source)
    config = read_config(folder)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    heads = located(config.heads, folder)
    registry.before_attach(config.backbone.source, heads)
    classes = _heads(config, folder)
    backbone = _backbone(config, folder, dtype=dtype, device=device, attention=attention)
    if backbone.hidden_size != config.backbone.hidden_size:
        raise CheckpointError(
            f"{folder} was trained on a backbone of hidden size {config.backbone.hidden_size}, but "
            f"{config.backbone.source!r} has {backbone.hidden_size}; restore the original backbone"
        )
    origin = Origin(
        backbone=config.backbone.source,
        heads=heads,
        lora=None if config.lora is None else LoraSettings(**config.lora),
    )
    try:
        model = assemble(backbone, classes, origin, is_merged=config.merged)
    except InputError as error:
        raise CheckpointError(f"{folder} cannot be put together: {error}") from error
    _check_tokens(config, dict(model.vocabulary.ids), folder)
    model.trained_groups |= set(config.trained_groups)
    model.num_frames = config.num_frames
    if model.peft is not None:
        _load_adapter(model, folder / names.ADAPTER / names.ADAPTER_WEIGHTS)
    _copy(read_tensors(folder / names.HEADS), model.heads.state_dict(), folder / names.HEADS)
    if config.trained_groups and not config.backbone.included:
        path = folder / names.TRAINED_BASE
        _copy(read_tensors(path), base_tensors(model), path)
    registry.after_attach(model)
    return model.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: If it is missing or broken.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; save the model again") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is broken ({error}); save the model again") from error


def _heads(config: SavedConfig, folder: Path) -> dict[str, type[TaskHead]]:
    try:
        return {name: registry.load_head(name) for name in config.heads}
    except UnknownName as error:
        raise CheckpointError(
            f"{folder} has a head that no installed plugin provides: {error}; install its plugin"
        ) from error


def _backbone(
    config: SavedConfig,
    folder: Path,
    *,
    dtype: torch.dtype | None,
    device: torch.device,
    attention: str,
) -> BackboneAdapter:
    saved = config.backbone
    if dtype is None:
        # Half types widen exactly.
        dtype = torch.float32 if device.type == "cpu" else getattr(torch, saved.dtype)
    try:
        if not saved.included:
            return load_backbone(saved.source, dtype=dtype, attention=attention, device=device)
        place = str(folder / names.BACKBONE)
        if not saved.adapter:
            return load_backbone(place, dtype=dtype, attention=attention, device=device)
        adapter = registry.load_backbone(saved.adapter)
        return adapter.load(place, dtype=dtype, attention=attention, device=device)
    except InputError as error:
        raise CheckpointError(f"the backbone of {folder} cannot be loaded: {error}") from error


def _check_tokens(config: SavedConfig, ids: Mapping[str, int], folder: Path) -> None:
    if ids == config.tokens:
        return
    texts = sorted(set(ids) ^ set(config.tokens))
    if texts:
        reason = f"the installed heads and the saved ones differ in {', '.join(texts)}"
    else:
        text = next(text for text in ids if ids[text] != config.tokens[text])
        reason = f"{text!r} has id {ids[text]}, but was trained as {config.tokens[text]}"
    raise CheckpointError(
        f"task tokens of {folder} do not fit: {reason}; restore the original backbone and plugins"
    )


def _load_adapter(model: TpoModel, path: Path) -> None:
    from peft import set_peft_model_state_dict

    saved = read_tensors(path)
    _check(saved, adapter_tensors(model), path)
    set_peft_model_state_dict(model.peft, saved)


def _copy(saved: Mapping[str, Tensor], into: Mapping[str, Tensor], path: Path) -> None:
    _check(saved, into, path)
    with torch.no_grad():
        for name, value in saved.items():
            into[name].copy_(value)


def _check(saved: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights whose names or shapes are not the model's."""
    problems = [f"{name} is missing" for name in sorted(expected.keys() - saved.keys())]
    problems += [f"{name} is unexpected" for name in sorted(saved.keys() - expected.keys())]
    problems += [
        f"{name} has shape {list(saved[name].shape)}, expected {list(expected[name].shape)}"
        for name in sorted(saved.keys() & expected.keys())
        if saved[name].shape != expected[name].shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(
            f"{path} does not fit the model: {problems[0]}{more}; was it saved with other options, "
            "or a plugin of another version?"
        )
