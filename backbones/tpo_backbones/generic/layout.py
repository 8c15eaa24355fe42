"""Where the parts of a transformers image-text-to-text model lie, found by its own accessors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tpo_core.backbone import GroupName

# Parts that only make images; understanding never runs them, so no stage must wait for a gradient.
_GENERATION = re.compile(r"(^|\.)(vqmodel|generation_\w+)\.")
# Submodules of a vision tower that map its features to the language model's width.
_CONNECTOR_IN_TOWER = re.compile(r"(^|\.)(\w*merger\w*|projector|aligner)(\.|$)")


class Layout:
    """Names and modules of one model's parts.

    Args:
        model: A transformers model with a decoder and a vision tower.

    Attributes:
        base: The model without its language-model head; None where the class has no such part.
        decoder: The stack of decoder layers with its final norm.
        norm: The norm whose output is the last hidden state.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        inner = getattr(model, "model", None)
        self.base: Any = inner if inner is not None and hasattr(inner, "get_decoder") else None
        self.decoder: Any = self.model.get_decoder()
        if not hasattr(self.decoder, "layers"):  # llama4 returns its causal language model
            self.decoder = self.decoder.model
        self.norm: nn.Module = getattr(self.decoder, "norm", None) or self.decoder.embedding_norm
        self.decoder_name = self.name_of(self.decoder)
        # Modules rather than parameters: sharding swaps these.
        visual = {name.rpartition(".")[0] for group, name, _ in self.groups() if group != "llm"}
        self._visual_modules = [model.get_submodule(name) for name in sorted(visual)]

    @property
    def features(self) -> Any:
        """The module that owns `get_image_features`."""
        return self.base if self.base is not None else self.model

    def last_states(self, **inputs: Any) -> tuple[Tensor, Any]:
        """Run the model without its head; return the last hidden states and the cache."""
        if self.base is not None:
            output = self.base(**inputs)
            return output.last_hidden_state, output.past_key_values
        # llama4 offers no model without a head: listen to the final norm, project one state only.
        kept: list[Tensor] = []
        handle = self.norm.register_forward_hook(lambda module, args, out: kept.append(out))
        try:
            output = self.model(**inputs, logits_to_keep=1)
        finally:
            handle.remove()
        return kept[0], output.past_key_values

    def name_of(self, module: nn.Module) -> str:
        """Return the dotted name of a part of the model."""
        names: dict[int, str] = {id(found): name for name, found in self.model.named_modules()}
        return names[id(module)]

    def towers(self) -> list[str]:
        """Return the names of the vision towers (video_llava has two)."""
        towers = {self.model.get_encoder(modality="image")}
        for name in ("video_tower", "image_tower"):
            towers |= {getattr(self.features, name)} if hasattr(self.features, name) else set()
        assert not towers & {self.model, self.base}, "no vision tower found"
        return sorted(self.name_of(tower) for tower in towers)

    def groups(self) -> Iterator[tuple[GroupName, str, nn.Parameter]]:
        """Yield group, name and value of every parameter of the model itself, each once.

        What PEFT adds (LoRA matrices, trainable token rows) belongs to no group.
        """
        towers = [f"{name}." for name in self.towers()]
        language = self.decoder_name.split(".")
        # llama4 wraps decoder and head together; everywhere else the head is a sibling.
        is_nested = language[-1] == "model" and len(language) > 1
        inside = ".".join(language[:-1] if is_nested else language) + "."
        head = self.model.get_output_embeddings()
        heads = {id(p) for p in head.parameters()} if head is not None else set()
        added = set(_added_by_peft(self.model))
        for name, parameter in self.model.named_parameters():
            if id(parameter) in added:
                continue
            tower = next((prefix for prefix in towers if name.startswith(prefix)), None)
            if tower is not None:
                is_connector = _CONNECTOR_IN_TOWER.search(name[len(tower) :]) is not None
                yield "connector" if is_connector else "vision", name, parameter
            elif name.startswith(inside) or id(parameter) in heads:
                yield "llm", name, parameter
            elif _GENERATION.search(name):
                yield "vision", name, parameter
            else:
                yield "connector", name, parameter

    def trains_visual(self) -> bool:
        """Tell whether any parameter of tower or connector wants a gradient."""
        return any(
            parameter.requires_grad
            for module in self._visual_modules
            for parameter in module.parameters(recurse=False)
        )

    def linear_layers(self) -> list[str]:
        """Return names of the plain linear layers below the decoder's layers.

        Subclasses of `nn.Linear` are left out: llama4's router is one and returns a tuple.
        """
        prefix = f"{self.decoder_name}.layers."
        return [
            name
            for name, module in self.model.named_modules()
            if type(module) is nn.Linear and name.startswith(prefix)
        ]


def _added_by_peft(model: nn.Module) -> Iterator[int]:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            for part in module.adapter_layer_names:
                added = getattr(module, part)
                yield from (id(p) for p in getattr(added, "parameters", list)())
        elif isinstance(module, AuxiliaryTrainingWrapper):
            own = {id(p) for p in module.original_module.parameters()}
            yield from (id(p) for p in module.parameters() if id(p) not in own)
