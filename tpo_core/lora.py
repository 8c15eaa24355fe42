"""LoRA on the decoder and trainable rows for the task tokens, both through PEFT."""

from __future__ import annotations

import re
import warnings
from dataclasses import asdict, dataclass
from typing import Any

from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
from torch import Tensor, nn

from tpo_core.backbone import BackboneAdapter

# What PEFT puts into the names of wrapped modules.
_INJECTED = re.compile(r"\.(?:base_layer|token_adapter)(?=\.)")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """LoRA as in the paper's table of settings unless told otherwise.

    Args:
        rank: Rank of the update.
        alpha: Its scale is alpha / rank.
        dropout: On the input of the update.
    """

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


def token_modules(model: nn.Module) -> list[str]:
    """Return the names of the modules whose rows belong to tokens: input and, if untied, output.

    Whether they are tied is read off the tensors, since configs of some families say otherwise.
    """
    embedding = model.get_input_embeddings()  # type: ignore[operator]  # a transformers model
    head = model.get_output_embeddings()  # type: ignore[operator]
    wanted = [embedding]
    if head is not None and head.weight.data_ptr() != embedding.weight.data_ptr():
        wanted.append(head)
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(module)] for module in wanted]


def add_adapter(
    backbone: BackboneAdapter, token_ids: list[int], settings: LoraSettings | None
) -> PeftModel:
    """Freeze the backbone, inject LoRA and trainable token rows into it, and return PEFT's wrapper.

    Args:
        backbone: Its `model` is changed in place; tokens must have been added before.
        token_ids: Rows to train; no other row of any embedding does.
        settings: None for trainable rows alone.
    """
    modules = token_modules(backbone.model)
    if settings is None:
        config: Any = TrainableTokensConfig(target_modules=modules, token_indices=token_ids)
    else:
        targets = backbone.lora_targets()
        # A head that LoRA wraps tells new tokens apart without rows of their own, as in upstream.
        tables = [name for name in modules if name not in targets]
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=targets,
            trainable_token_indices=dict.fromkeys(tables, token_ids) if token_ids else None,
        )
    backbone.model.requires_grad_(False)
    with warnings.catch_warnings():
        # PEFT does tie the rows of tied tables, whatever it warns of.
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        return get_peft_model(backbone.model, config)


def base_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's own weights under its own names, as if nothing were injected into it."""
    return {
        _INJECTED.sub("", name): value
        for name, value in model.state_dict().items()
        if not is_lora(name) and not is_token_row(name)
    }


def is_lora(name: str) -> bool:
    """Tell whether a parameter name is LoRA's."""
    return "lora_" in name


def is_token_row(name: str) -> bool:
    """Tell whether a parameter name holds trainable token rows."""
    return "trainable_tokens_delta" in name
