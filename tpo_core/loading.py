"""Find the adapter for a backbone given by name, folder or hub id, and load it."""

from __future__ import annotations

import torch

from tpo_core import registry
from tpo_core.backbone import BackboneAdapter
from tpo_core.errors import InputError, UnknownName
from tpo_core.resources import resolve


def load_backbone(
    name: str,
    *,
    dtype: torch.dtype | None = None,
    attention: str = "auto",
    device: torch.device | str | None = None,
) -> BackboneAdapter:
    """Load a backbone.

    Args:
        name: A registered name that brings a checkpoint, a folder, or a hub id.
        dtype: See `BackboneAdapter.load`.
        attention: See `BackboneAdapter.load`.
        device: See `BackboneAdapter.load`.

    Raises:
        UnknownName: Neither a registered name nor a folder nor shaped like a hub id.
        InputError: Its config cannot be read, or the name brings no checkpoint.
    """
    specs = {spec.name: spec for spec in registry.list_backbones()}
    if name in specs:
        if not specs[name].checkpoint:
            raise InputError(
                f"backbone {name!r} is a family without a checkpoint of its own; give a folder or "
                "hub id of that family instead"
            )
        adapter = registry.load_backbone(name)
        return adapter.load(specs[name].checkpoint, dtype=dtype, attention=attention, device=device)
    source = resolve(name)
    from pathlib import Path

    if not Path(source).is_dir() and name.count("/") != 1:
        raise UnknownName("backbone", name, specs)
    adapter = registry.load_backbone(registry.backbone_for_model_type(model_type_of(source)).name)
    return adapter.load(source, dtype=dtype, attention=attention, device=device)


def model_type_of(source: str) -> str:
    """Return the `model_type` that the config at a folder or hub id names.

    Raises:
        InputError: If there is no config, or it names none.
    """
    from transformers import PretrainedConfig

    try:
        values, _ = PretrainedConfig.get_config_dict(source)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"no backbone at {source!r}: {reason}; expected a folder or hub id with a config.json"
        ) from error
    if "model_type" not in values:
        raise InputError(
            f"no backbone at {source!r}: its config.json names no model_type; expected the folder "
            "or hub id of a multimodal LLM"
        )
    return str(values["model_type"])
