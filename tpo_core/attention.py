"""Which attention kernel runs, and attention over packed trees without an L x L mask.

A packed row holds records end to end; each is a tree of one prefix and its branches. A token sees
its own branch up to itself and the whole prefix of its record. `tree_mask` carries that layout
through transformers to `tree_attention`, which never materialises the mask of the whole row.

Shapes: H query heads, G key/value heads, L tokens of the row, E head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_core.errors import InputError

TREE_ATTENTION = "tpo_tree"
Kernel = Literal["flash-attn", "torch-flash", "sdpa"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A kernel and why it was taken."""

    kernel: Kernel
    reason: str


def choose(
    *, device: torch.device | str, dtype: torch.dtype, head_size: int, kernel: str = "auto"
) -> Choice:
    """Pick the kernel for attention over packed trees.

    Args:
        device: Where the tensors live.
        dtype: Their type under autocast.
        head_size: E.
        kernel: `"auto"`, or a kernel's name to insist on it.

    Raises:
        InputError: If the kernel insisted on cannot run here; the message says why.
    """
    blocker = _flash_blocker(torch.device(device), dtype, head_size)
    if kernel not in ("auto", "flash-attn", "torch-flash", "sdpa"):
        raise InputError(
            f"attention kernel {kernel!r} is unknown; expected auto, flash-attn, torch-flash, sdpa"
        )
    if kernel == "sdpa":
        return Choice(kernel="sdpa", reason="asked for")
    if blocker and kernel != "auto":
        raise InputError(f"attention kernel {kernel!r} cannot run here: {blocker}")
    if blocker:
        return Choice(kernel="sdpa", reason=blocker)
    has_package = find_spec("flash_attn") is not None
    if kernel == "flash-attn" and not has_package:
        raise InputError(
            "attention kernel 'flash-attn' needs the flash-attn package: pip install 'tpo[flash]'"
        )
    if has_package and kernel != "torch-flash":
        return Choice(kernel="flash-attn", reason="flash-attn is installed and fits")
    return Choice(
        kernel="torch-flash", reason="torch's flash kernel fits; flash-attn not installed"
    )


def _flash_blocker(device: torch.device, dtype: torch.dtype, head_size: int) -> str:
    """Return why flash kernels cannot run, or an empty string."""
    if device.type != "cuda":
        return f"flash kernels need a CUDA device, got {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"flash kernels need fp16 or bf16, got {str(dtype).removeprefix('torch.')}"
    if head_size > 256 or head_size % 8:
        return f"flash kernels need a head size divisible by 8 and at most 256, got {head_size}"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "flash kernels need compute capability 8.0 or newer"
    return ""


def describe() -> list[tuple[str, str, str]]:
    """Return `(case, kernel, reason)` rows for `tpo doctor`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows: list[tuple[str, str, str]] = []
    for dtype in (torch.float32, torch.bfloat16):
        for head_size in (64, 128):
            choice = choose(device=device, dtype=dtype, head_size=head_size)
            case = f"{device} {str(dtype).removeprefix('torch.')} head {head_size}"
            rows.append((case, choice.kernel, choice.reason))
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class TreeLayout:
    """Where prefixes and branches lie in a packed row, and index tensors derived from it.

    Args:
        spans: For each record the slice of its prefix and those of its branches, in row order.
    """

    spans: Sequence[tuple[slice, Sequence[slice]]]
    _cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """L."""
        prefix, branches = self.spans[-1]
        return int(branches[-1].stop if branches else prefix.stop)

    @property
    def longest_path(self) -> int:
        """Tokens of the longest prefix plus branch."""
        return max(
            int(prefix.stop)
            - int(prefix.start)
            + max((b.stop - b.start for b in branches), default=0)
            for prefix, branches in self.spans
        )

    def branch_mask(self, record: int, device: torch.device) -> Tensor:
        """Return bool `[sum of branch lengths, tokens of the record]`: who sees whom."""
        key = (record, device)
        if key not in self._cache:
            prefix, branches = self.spans[record]
            lengths = torch.tensor([b.stop - b.start for b in branches], device=device)
            owner = torch.repeat_interleave(torch.arange(len(branches), device=device), lengths)
            own = (owner[:, None] == owner[None]).tril()
            sees_prefix = own.new_ones(len(owner), prefix.stop - prefix.start)
            self._cache[key] = torch.cat([sees_prefix, own], 1)
        mask: Tensor = self._cache[key]
        return mask

    def segments(self, device: torch.device) -> tuple[Tensor, int]:
        """Return cumulative lengths of every prefix and branch as own segments, and the longest."""
        bounds = [0]
        for prefix, branches in self.spans:
            bounds += [part.stop for part in (prefix, *branches) if part.stop > part.start]
        longest = max(b - a for a, b in pairwise(bounds))
        return self._tensor("segments", bounds, device), longest

    def crossings(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, int, int]:
        """Return which tokens are branch queries and prefix keys, and their lengths by record."""
        queries: list[int] = []
        keys: list[int] = []
        query_bounds, key_bounds = [0], [0]
        for prefix, branches in self.spans:
            if prefix.stop == prefix.start or not branches:
                continue
            queries += range(branches[0].start, branches[-1].stop)
            keys += range(prefix.start, prefix.stop)
            query_bounds.append(len(queries))
            key_bounds.append(len(keys))
        longest = [
            max((b - a for a, b in pairwise(bounds)), default=0)
            for bounds in (query_bounds, key_bounds)
        ]
        return (
            self._tensor("queries", queries, device, torch.long),
            self._tensor("keys", keys, device, torch.long),
            self._tensor("query_bounds", query_bounds, device),
            self._tensor("key_bounds", key_bounds, device),
            longest[0],
            longest[1],
        )

    def _tensor(
        self, name: str, values: list[int], device: torch.device, dtype: torch.dtype = torch.int32
    ) -> Tensor:
        key = (name, device)
        if key not in self._cache:
            self._cache[key] = torch.tensor(values, device=device, dtype=dtype)
        tensor: Tensor = self._cache[key]
        return tensor


def tree_mask(
    spans: Sequence[tuple[slice, Sequence[slice]]], *, device: torch.device | str
) -> Tensor:
    """Return a `[1, 1, L, L]` view of one element that carries the layout to `tree_attention`.

    Pass it as `attention_mask` to a model whose attention implementation is `TREE_ATTENTION`. Its
    values mean nothing; transformers hands four-dimensional masks through untouched.
    """
    layout = TreeLayout(spans)
    mask = torch.ones(1, dtype=torch.bool, device=device).expand(1, 1, layout.length, layout.length)
    mask.tpo_layout = layout  # type: ignore[attr-defined]  # rides on the tensor object
    return mask


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention function for transformers; anything but a `tree_mask` goes to its sdpa function.

    Args:
        module: The attention layer.
        query: `[1, H, L, E]`.
        key: `[1, G, L, E]`.
        value: `[1, G, L, E]`.
        attention_mask: What `tree_mask` returned.
        scaling: Factor on the scores; 1/sqrt(E) if None.
        dropout: Must be 0 with a tree mask.
        sliding_window: Refused if any path is longer.
        softcap: Refused.
        kwargs: What else transformers passes along.

    Returns:
        `[1, L, H, E]` and None.
    """
    layout: TreeLayout | None = getattr(attention_mask, "tpo_layout", None)
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output, None
    assert layout.length == query.shape[2] == key.shape[2], "tree mask of another row"
    assert softcap is None, "tree attention has no softcap"
    assert not dropout, "tree attention has no dropout"
    if sliding_window is not None and layout.longest_path > sliding_window:
        raise InputError(
            f"a conversation of {layout.longest_path} tokens exceeds the backbone's attention "
            f"window of {sliding_window}; use fewer frames or shorter text"
        )
    choice = choose(device=query.device, dtype=query.dtype, head_size=query.shape[-1])
    if choice.kernel == "sdpa":
        return _by_record(query, key, value, layout, scaling), None
    from tpo_core.flash import flash_tree_attention

    return flash_tree_attention(query, key, value, layout, scaling, kernel=choice.kernel), None


def _by_record(
    query: Tensor, key: Tensor, value: Tensor, layout: TreeLayout, scale: float | None
) -> Tensor:
    """Run sdpa record by record: prefixes causally, branches against their record.

    The row is split once: its gradient is then put together once, whereas that of every slice of it
    would be as long as the row.
    """
    lengths: list[int] = []
    for prefix, branches in layout.spans:
        whole = (branches[-1].stop if branches else prefix.stop) - prefix.start
        # A single path is a plain causal sequence.
        causal = whole if len(branches) < 2 else prefix.stop - prefix.start
        lengths += [causal, whole - causal]
    queries, keys, values = (torch.split(part, lengths, 2) for part in (query, key, value))
    grouped = query.shape[1] != key.shape[1]
    parts = []

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
        )
        parts.append(out.transpose(1, 2))

    for number in range(len(layout.spans)):
        first, second = 2 * number, 2 * number + 1
        if lengths[first]:
            attend(queries[first], keys[first], values[first], None)
        if lengths[second]:
            k, v = (torch.cat(pieces[first : second + 1], 2) for pieces in (keys, values))
            attend(queries[second], k, v, layout.branch_mask(number, query.device))
    return torch.cat(parts, 1)


def register() -> None:
    """Make `TREE_ATTENTION` known to transformers; safe to call again."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(TREE_ATTENTION, tree_attention)
    AttentionMaskInterface.register(TREE_ATTENTION, sdpa_mask)
