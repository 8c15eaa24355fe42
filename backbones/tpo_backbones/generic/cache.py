"""KV caches that can be copied to more rows, and through which gradients can flow."""

from __future__ import annotations

import copy
from types import MethodType
from typing import Any

import torch
from torch import Tensor


def new_cache(config: Any) -> Any:
    """Return an empty cache with the layer types the config asks for."""
    from transformers import DynamicCache

    return DynamicCache(config=config)


def trainable_cache(config: Any) -> Any:
    """Return an empty cache whose updates autograd can follow.

    Linear-attention layers copy new states into the old tensors in place, which invalidates what
    the backward pass needs; assigning them instead is equivalent.
    """
    cache = new_cache(config)
    for layer in cache.layers:
        if hasattr(layer, "update_recurrent_state"):
            layer.update_recurrent_state = MethodType(_assign_recurrent_state, layer)
    return cache


def _assign_recurrent_state(
    layer: Any, recurrent_states: Tensor, state_idx: int = 0, **kwargs: Any
) -> Tensor:
    if not layer.is_recurrent_states_initialized[state_idx]:
        layer.lazy_initialization(recurrent_states=recurrent_states, state_idx=state_idx)
    layer.recurrent_states[state_idx] = recurrent_states
    return recurrent_states


def expanded(cache: Any, rows: int) -> Any:
    """Give a one-row cache `rows` rows, in place."""
    device = next(layer.device for layer in cache.layers if layer.device is not None)
    return selected(cache, torch.zeros(rows, dtype=torch.long, device=device))


def selected(cache: Any, rows: Tensor) -> Any:
    """Replace row b of a cache by row `rows[b]`, in place."""
    for layer in cache.layers:
        # An empty attention layer has keys without a batch dimension.
        if getattr(layer, "is_initialized", True):
            layer.reorder_cache(rows)
    return cache


def copied(cache: Any) -> Any:
    """Return a cache that shares no mutable state with the original (its tensors are shared).

    Attention layers replace their tensors when they grow; linear layers write into theirs, but only
    after `selected` gave them new ones.
    """
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in twin.layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):
                setattr(layer, name, dict(value))
    return twin
