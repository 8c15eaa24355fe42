"""Attention masks of packed trees, put together from the library's own mask of each path.

A path is a prefix with one of its branches: what the model would see had the conversation been run
alone. The library makes the mask of each path (windows, chunks, bidirectional image blocks and all)
and this module only scatters them into the row, so no rule of any family is written here.

Shapes: L tokens of the row, l of a path.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor

from tpo_core.attention import TREE_ATTENTION, tree_mask
from tpo_core.backbone import PackedTokens, RenderedRecord

Masks = Tensor | dict[str, Tensor] | None


class TreeMasks:
    """Makes the mask of a packed row.

    Args:
        model: A transformers model.
        text_type: Token type of text.

    Attributes:
        type_name: The name under which the model takes token types; empty if it takes none.
    """

    def __init__(self, model: Any, *, text_type: int = 0) -> None:
        from transformers.masking_utils import create_masks_for_generate

        self.model, self.text_type = model, text_type
        self.create = getattr(model, "create_masks_for_generate", create_masks_for_generate)
        known = inspect.signature(self.create).parameters
        names = [name for name in ("token_type_ids", "mm_token_type_ids") if name in known]
        self.type_name = names[0] if names else ""
        self._causal_up_to = 0

    def row(self, batch: PackedTokens, *, dtype: torch.dtype) -> Masks:
        """Return the mask of a packed row, by layer type where the model has several.

        Args:
            batch: The packed records.
            dtype: Of the hidden states, for the additive mask that eager attention wants.
        """
        device = batch.ids.device
        spans = batch.spans()
        paths = []
        for record, (prefix, branches) in zip(batch.records, spans, strict=True):
            for branch in branches or [slice(prefix.stop, prefix.stop)]:
                paths.append((prefix, branch, self._path(record, branch.stop - branch.start)))
        implementation = self.model.get_decoder().config._attn_implementation
        if implementation == TREE_ATTENTION and all(_is_causal(mask) for _, _, mask in paths):
            return tree_mask(spans, device=device)
        names = list(paths[0][2]) if isinstance(paths[0][2], dict) else [""]
        rows = {}
        for name in names:
            row = torch.eye(len(batch.ids), dtype=torch.bool, device=device)
            for prefix, branch, mask in paths:
                part = mask[name] if isinstance(mask, dict) else mask
                length = prefix.stop - prefix.start + branch.stop - branch.start
                if part is None:
                    part = torch.ones(length, length, dtype=torch.bool, device=device).tril()
                else:
                    part = part[0, 0].to(device)
                _scatter(row, part, prefix, branch)
            rows[name] = row[None, None]
        if implementation == "eager":
            rows = {name: _additive(row, dtype) for name, row in rows.items()}
        return rows if names != [""] else rows[""]

    def types(self, record: RenderedRecord, length: int) -> Tensor:
        """Return token types of a prefix and `length` text tokens, on the CPU."""
        types = torch.full((len(record.prefix_ids) + length,), self.text_type)
        if self.type_name in record.extras:
            types[: len(record.prefix_ids)] = record.extras[self.type_name].cpu()
        return types

    def _path(self, record: RenderedRecord, branch: int) -> Any:
        """Ask the library for the mask of one path; None means plain causal."""
        length = len(record.prefix_ids) + branch
        if length <= self._causal_up_to:
            return None
        config = _as_sdpa(self.model.config)
        options: dict[str, Any] = {}
        if self.type_name:
            options[self.type_name] = self.types(record, branch)[None]
        mask = self.create(
            config=config,
            inputs_embeds=torch.empty(1, length, 0),
            attention_mask=torch.ones(1, length, dtype=torch.long),
            past_key_values=None,
            position_ids=torch.arange(length)[None],
            **options,
        )
        if mask is None and not self.type_name:  # a window or chunk longer than this path
            self._causal_up_to = length
        return mask


def _as_sdpa(config: Any) -> Any:
    """Return a view of the config under which masks are boolean, or None where plainly causal."""
    view = copy.copy(config)
    text = copy.copy(config.get_text_config())
    text._attn_implementation_internal = "sdpa"
    view.get_text_config = lambda *args, **kwargs: text
    view._attn_implementation_internal = "sdpa"
    return view


def _is_causal(mask: Any) -> bool:
    return all(part is None for part in mask.values()) if isinstance(mask, dict) else mask is None


def _scatter(row: Tensor, path: Tensor, prefix: slice, branch: slice) -> None:
    """Write a path's mask into the row's: prefix and branch lie apart there."""
    length = prefix.stop - prefix.start
    row[prefix, prefix] |= path[:length, :length]
    row[branch, prefix] |= path[length:, :length]
    row[branch, branch] |= path[length:, length:]


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a bool mask into one to be added to the scores, as eager attention needs it."""
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest)
