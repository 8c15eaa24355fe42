"""Write a model to a folder, whole or not at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tpo_core import registry
from tpo_core.backbone import GroupName
from tpo_core.errors import CheckpointError, InputError
from tpo_core.model import TpoModel
from tpo_core.resources import looks_like_hub_id
from tpo_core.saving import config as names
from tpo_core.saving.card import model_card
from tpo_core.saving.config import SavedBackbone, SavedConfig
from tpo_core.saving.files import copy_files, portable
from tpo_core.saving.folder import replacing

SMALL = 64 << 20
"""Backbones of at most this many bytes are included by default."""

_PACKAGES = ("tpo", "torch", "transformers", "peft")
_GROUPS: tuple[GroupName, ...] = ("vision", "connector", "llm")


def save(
    model: TpoModel,
    folder: str | Path,
    *,
    include_backbone: bool | None = None,
    figures: Mapping[str, float] | None = None,
) -> None:
    """Write config, LoRA and token rows, heads, processor and a model card; safetensors only.

    A model that stood in the folder stays whole until the new one is.

    Args:
        model: The model.
        folder: Where to; made if need be. One that holds other files than a saved model is refused.
        include_backbone: Whether to write the backbone's weights too; by default if they were
            trained or merged, are small (at most 64 MiB), or came from nowhere they could be loaded
            from again. Without them, those groups that were trained are written all the same.
        figures: Measured figures for the model card.

    Raises:
        InputError: If a head's options are no JSON, or the backbone must be included.
        CheckpointError: If the folder holds other files, or cannot be written.
    """
    target = Path(folder)
    described = describe(model, include_backbone=include_backbone)
    try:
        if _is_foreign(target):
            raise CheckpointError(
                f"{target} holds other files than a saved model; choose another folder"
            )
        with replacing(target, owned=names.OWNED) as new:
            _write(model, described, new, figures or {})
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(
            f"cannot write the model to {target}: {reason}; free space, check permissions, or "
            "choose another folder"
        ) from error


def describe(model: TpoModel, *, include_backbone: bool | None = None) -> SavedConfig:
    """Return the config that `save` writes.

    Raises:
        InputError: If a head's options are no JSON, or the backbone must be included and may not.
    """
    origin, backbone = model.origin, model.backbone
    trained = trained_groups(model)
    source, is_lasting = _source(origin.backbone)
    parameters = list(backbone.model.parameters())
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    must = model.is_merged or not is_lasting
    if include_backbone is None:
        include_backbone = must or bool(trained) or size <= SMALL
    if must and not include_backbone:
        why = "LoRA was merged into it" if model.is_merged else f"{source!r} cannot be loaded again"
        raise InputError(f"include_backbone=False, but the backbone must be saved: {why}")
    heads, _ = portable(origin.heads)
    try:
        json.dumps(heads)
    except (TypeError, ValueError) as error:
        raise InputError(f"head options {heads} cannot be saved as JSON: {error}") from error
    return SavedConfig(
        backbone=SavedBackbone(
            source=source,
            adapter=_adapter_name(model),
            included=include_backbone,
            dtype=str(_dtype(model)).removeprefix("torch."),
            hidden_size=backbone.hidden_size,
        ),
        heads=heads,
        lora=None if origin.lora is None else origin.lora.to_json(),
        merged=model.is_merged,
        tokens=dict(model.vocabulary.ids),
        trained_groups=list(trained),
        num_frames=model.num_frames,
        versions={package: version(package) for package in _PACKAGES},
    )


def trained_groups(model: TpoModel) -> list[GroupName]:
    """Return the groups of the backbone's own weights that were, or are being, trained."""
    return [
        group
        for group in _GROUPS
        if group in model.trained_groups
        or any(p.requires_grad for p in model.backbone.parameter_group(group).values())
    ]


def base_tensors(model: TpoModel) -> dict[str, Tensor]:
    """Return the backbone's own weights of the groups that were trained, by name."""
    return {
        name: parameter
        for group in trained_groups(model)
        for name, parameter in model.backbone.parameter_group(group).items()
    }


def adapter_tensors(model: TpoModel) -> dict[str, Tensor]:
    """Return LoRA and token rows by the names that PEFT saves them under."""
    from peft import get_peft_model_state_dict

    if model.peft is None:
        return {}
    # Not "auto", which asks the hub whether the vocabulary grew.
    state: dict[str, Tensor] = get_peft_model_state_dict(model.peft, save_embedding_layers=False)
    return state


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors, tied ones once under each name."""
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        storage = value.untyped_storage().data_ptr()
        ready[name] = value.clone() if storage in seen else value
        seen.add(storage)
    save_file(ready, path, metadata={"format": "pt"})


def _write(
    model: TpoModel, config: SavedConfig, folder: Path, figures: Mapping[str, float]
) -> None:
    text = json.dumps(config.model_dump(mode="json"), indent=2)
    (folder / names.CONFIG).write_text(text + "\n", encoding="utf-8")
    write_tensors(model.heads.state_dict(), folder / names.HEADS)
    copy_files(portable(model.origin.heads)[1], folder)
    if model.peft is not None:
        _write_adapter(model, config, folder / names.ADAPTER)
    if config.backbone.included:
        model.backbone.save(str(folder / names.BACKBONE))
    else:
        model.backbone.save_processor(str(folder / names.PROCESSOR))
        if config.trained_groups:
            write_tensors(base_tensors(model), folder / names.TRAINED_BASE)
    tasks = {
        name: ", ".join(f"`{task}`" for task, of in model.head_by_task.items() if of is head)
        for name, head in model.heads.items()
    }
    card = model_card(config, tasks=tasks, figures=figures)
    (folder / names.CARD).write_text(card, encoding="utf-8")


def _write_adapter(model: TpoModel, config: SavedConfig, folder: Path) -> None:
    assert model.peft is not None
    folder.mkdir()
    write_tensors(adapter_tensors(model), folder / names.ADAPTER_WEIGHTS)
    settings = copy.copy(model.peft.peft_config["default"])
    # The path of whoever trained it says nothing to others.
    settings.base_model_name_or_path = config.backbone.source
    settings.inference_mode = True
    settings.save_pretrained(str(folder))


def _is_foreign(target: Path) -> bool:
    """Tell whether something stands at `target` that `save` did not write."""
    if not target.exists():
        return False
    return not target.is_dir() or (any(target.iterdir()) and not names.is_ours(target))


def _source(name: str) -> tuple[str, bool]:
    """Return where a backbone came from (a folder as absolute path) and whether that will last."""
    if name in {spec.name for spec in registry.list_backbones()}:
        return name, True
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().resolve()), True
    return name, name.startswith("package:") or looks_like_hub_id(name)


def _adapter_name(model: TpoModel) -> str:
    """Return the registered name of the adapter, or nothing if the saved config will tell."""
    if model.origin.backbone in {spec.name for spec in registry.list_backbones()}:
        return model.origin.backbone
    kind = type(model.backbone)
    place = f"{kind.__module__}:{kind.__qualname__}"
    found = [spec.name for spec in registry.list_backbones() if spec.target == place]
    return found[0] if found else ""


def _dtype(model: TpoModel) -> Any:
    """Return the type of the backbone's own weights; LoRA's may differ."""
    groups = (model.backbone.parameter_group(group) for group in _GROUPS)
    return next(p.dtype for group in groups for p in group.values() if p.is_floating_point())
