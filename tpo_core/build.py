"""Build models: attach heads to a backbone, or load a saved model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tpo_core.backbone import BackboneAdapter
from tpo_core.errors import InputError
from tpo_core.head import TaskHead
from tpo_core.lora import LoraSettings, add_adapter
from tpo_core.model import Origin, TpoModel
from tpo_core.vocabulary import Vocabulary

HeadsArgument = Sequence[str] | Mapping[str, Mapping[str, Any] | None]


def attach(
    backbone: str | BackboneAdapter,
    heads: HeadsArgument,
    *,
    lora: LoraSettings | Mapping[str, Any] | None = LoraSettings(),  # noqa: B008 - frozen record
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    attention: str = "auto",
) -> TpoModel:
    """Attach task heads to a backbone: add their tokens, LoRA, trainable rows and the heads.

    Args:
        backbone: Registered name, folder or hub id, or an adapter already loaded.
        heads: Names of registered heads, or a mapping from name to options.
        lora: LoRA settings; None trains nothing of the LLM but the task tokens' rows.
        dtype: Of the backbone; heads and trainable parts stay fp32.
        device: Where to put the model; CUDA if there is one.
        attention: `auto` or a kernel's name, see `tpo_core.attention.choose`.

    Raises:
        UnknownName: A backbone or head is not registered.
        InputError: An option is wrong, or two heads clash.
        PluginError: A plugin vetoed.
    """
    from tpo_core import registry
    from tpo_core.loading import load_backbone

    options = _head_options(heads)
    if isinstance(lora, Mapping):
        lora = LoraSettings(**lora)
    name = backbone if isinstance(backbone, str) else type(backbone).__name__
    registry.before_attach(name, options)
    if isinstance(backbone, str):
        for head, defaults in _defaults(backbone).items():
            if head in options:
                options[head] = {**defaults, **options[head]}
        classes = {head: registry.load_head(head) for head in options}
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        backbone = load_backbone(backbone, dtype=dtype, attention=attention, device=device)
    else:
        classes = {head: registry.load_head(head) for head in options}
    model = assemble(backbone, classes, Origin(backbone=name, heads=options, lora=lora))
    registry.after_attach(model)
    return model


def assemble(
    backbone: BackboneAdapter,
    classes: Mapping[str, type[TaskHead]],
    origin: Origin,
    *,
    is_merged: bool = False,
) -> TpoModel:
    """Put heads on a loaded backbone; the part of `attach` that needs no registry.

    Args:
        backbone: The adapter.
        classes: Heads by registered name.
        origin: What the model is made of.
        is_merged: LoRA and token rows are in the backbone's weights already; add none.
    """
    tokens = [token for head in classes.values() for token in head.tokens]
    texts = Vocabulary.build(tokens, {}).texts
    ids = dict(zip(texts, backbone.add_tokens(texts), strict=True))
    vocabulary = Vocabulary.build(tokens, ids)
    built = {name: _build_head(name, classes[name], backbone, origin) for name in classes}
    peft = None
    if not is_merged and (origin.lora is not None or vocabulary.trained_ids):
        peft = add_adapter(backbone, vocabulary.trained_ids, origin.lora)
    else:
        backbone.model.requires_grad_(False)
    model = TpoModel(backbone, built, vocabulary=vocabulary, peft=peft, origin=origin)
    model.heads.to(model.device)
    backbone.self_check()
    return model


def _build_head(
    name: str, head: type[TaskHead], backbone: BackboneAdapter, origin: Origin
) -> TaskHead:
    try:
        return head(backbone.hidden_size, **origin.heads[name])
    except TypeError as error:
        raise InputError(f"head {name!r}: {error}; see its docstring for the options") from error


def _head_options(heads: HeadsArgument) -> dict[str, dict[str, Any]]:
    if isinstance(heads, str):
        raise InputError(f"heads is the text {heads!r}; expected a list of names, [{heads!r}]")
    if isinstance(heads, Mapping):
        return {name: dict(options or {}) for name, options in heads.items()}
    return {name: {} for name in heads}


def _defaults(backbone: str) -> Mapping[str, Mapping[str, Any]]:
    from tpo_core.registry import list_backbones

    specs = {spec.name: spec for spec in list_backbones()}
    return specs[backbone].head_options if backbone in specs else {}


def from_pretrained(
    source: str,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    attention: str = "auto",
) -> TpoModel:
    """Load what `save_pretrained` or a recipe wrote, from a folder or a hub id.

    Raises:
        CheckpointError: The folder is no model of ours, or its weights do not fit.
    """
    from tpo_core.saving import load

    return load(source, dtype=dtype, device=device, attention=attention)
