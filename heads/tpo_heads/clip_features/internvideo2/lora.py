"""Merging the text tower's low-rank adapters (LoRA, Hu et al., ICLR 2022) into its weights.

Shapes: O and I outputs and inputs of a projection, R rank.
"""

from __future__ import annotations

import logging
from typing import Literal

import torch
from torch import Tensor

from tpo_core.errors import CheckpointError, InputError

LoraMode = Literal["apply", "ignore"]

_LOG = logging.getLogger(__name__)
_DOWN, _UP = ".lora_A.default.weight", ".lora_B.default.weight"


def merge_lora(
    weights: dict[str, Tensor],
    *,
    layers: int,
    alpha: float,
    mode: LoraMode,
    dtype: torch.dtype,
    source: str,
) -> dict[str, Tensor]:
    """Return the weights of the plain model: W + alpha / R * B A on every q and v projection.

    Reads both namings of PEFT: before 0.7 the adapted weight is `q_proj.weight`, since then
    `q_proj.base_layer.weight`. The size of B is logged, since nobody documents whether the
    released one is zero.

    Args:
        weights: `[O, I]` weights by name, with `[R, I]` and `[O, R]` adapters beside them, or none.
        layers: How many layers there are to adapt.
        alpha: LoRA's alpha.
        mode: `"apply"`, or `"ignore"` to drop the adapters, as InternVL's own loader does.
        dtype: Of the merged weights; the sum is made in float32.
        source: The file, for errors.

    Raises:
        CheckpointError: If some q or v projections have an adapter and others none, or half of one.
        InputError: If `mode` is unknown.
    """
    if mode not in ("apply", "ignore"):
        raise InputError(f"InternVideo2 option lora is {mode!r}; expected 'apply' or 'ignore'")
    plain = {
        name.replace(".base_layer.", "."): value
        for name, value in weights.items()
        if not name.endswith((_DOWN, _UP))
    }
    found = {name for name in weights if name.endswith((_DOWN, _UP))}
    if not found:
        return plain
    adapted = [
        f"transformer.layers.{layer}.self_attn.{projection}_proj"
        for layer in range(layers)
        for projection in "qv"
    ]
    if found != {target + half for target in adapted for half in (_DOWN, _UP)}:
        raise CheckpointError(
            f"{source} holds {len(found)} LoRA tensors; expected both halves for the q and v "
            f"projections of all {layers} layers ({4 * layers} tensors), or none"
        )
    sizes = [weights[target + _UP].float().abs() for target in adapted]
    largest = max(float(size.max()) for size in sizes)
    mean = sum(float(size.mean()) for size in sizes) / len(sizes)
    if largest:
        done = "merged" if mode == "apply" else "ignored as asked"
        _LOG.info(
            "%s: %d LoRA pairs %s; |B| is %.3g on average, %.3g at most",
            source, len(adapted), done, mean, largest,
        )  # fmt: skip
    else:
        _LOG.warning("%s: LoRA's B is zero throughout, so that it changes nothing", source)
    if mode == "ignore":
        return plain
    for target in adapted:
        down, up = weights[target + _DOWN].float(), weights[target + _UP].float()
        base = plain.get(f"{target}.weight")
        if base is None or base.shape != (up.shape[0], down.shape[1]):
            continue  # the strict loading that follows names it
        merged = base.float() + alpha / down.shape[0] * (up @ down)
        plain[f"{target}.weight"] = merged.to(dtype)
    return plain
