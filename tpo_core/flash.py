"""Tree attention on flash kernels: two variable-length calls, merged by their log-sum-exps.

One causal call takes every prefix and branch as a segment of its own; one full call lets branch
tokens see their record's prefix. With log-sum-exps a and b the exact softmax over both key sets is
out = out_a * exp(a - c) + out_b * exp(b - c), c = logaddexp(a, b). Flash kernels give no gradient
for a log-sum-exp, so the backward pass calls each kernel's own backward with the *merged* output
and c: its probabilities exp(s - c) are then those of the whole softmax (as ring attention does).

Shapes: H query heads, G key/value heads, L tokens, E head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tpo_core.attention import Kernel, TreeLayout


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Arguments of one variable-length call; bounds are cumulative int32 lengths."""

    query_bounds: Tensor
    key_bounds: Tensor
    longest_query: int
    longest_key: int
    causal: bool


class TorchFlash:
    """torch's own flash kernel (CUDA, half precision)."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, s: Segments, scale: float) -> tuple[Any, ...]:
        """Return `[L, H, E]`, log-sum-exp `[H, L]` and what backward needs."""
        out, lse, rng, unused, _ = torch.ops.aten._flash_attention_forward(
            q, k, v, s.query_bounds, s.key_bounds, s.longest_query, s.longest_key,
            0.0, s.causal, False, scale=scale,
        )  # fmt: skip
        return out, lse, (rng, unused)

    @staticmethod
    def backward(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
        s: Segments, scale: float, saved: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Return gradients of q, k and v."""
        rng, unused = saved
        grads: tuple[Tensor, Tensor, Tensor] = torch.ops.aten._flash_attention_backward(
            grad, q, k, v, out, lse, s.query_bounds, s.key_bounds, s.longest_query,
            s.longest_key, 0.0, s.causal, rng, unused, scale=scale,
        )  # fmt: skip
        return grads


class FlashAttn:
    """The flash-attn package's kernel (CUDA, half precision)."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, s: Segments, scale: float) -> tuple[Any, ...]:
        """Return `[L, H, E]`, log-sum-exp `[H, L]` and what backward needs."""
        from flash_attn.flash_attn_interface import _flash_attn_varlen_forward

        out, lse, _, rng = _flash_attn_varlen_forward(
            q, k, v, s.query_bounds, s.key_bounds, s.longest_query, s.longest_key,
            0.0, scale, causal=s.causal,
        )  # fmt: skip
        return out, lse, rng

    @staticmethod
    def backward(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
        s: Segments, scale: float, saved: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Return gradients of q, k and v."""
        from flash_attn.flash_attn_interface import _flash_attn_varlen_backward

        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        _flash_attn_varlen_backward(
            grad, q, k, v, out, lse, dq, dk, dv, s.query_bounds, s.key_bounds,
            s.longest_query, s.longest_key, 0.0, scale, s.causal, -1, -1, 0.0, None, False,
            rng_state=saved,
        )  # fmt: skip
        return dq, dk, dv


class Explicit:
    """The same contract in plain torch, on any device: what the kernels are tested against."""

    @staticmethod
    def _scores(q: Tensor, k: Tensor, s: Segments, scale: float) -> tuple[Tensor, Tensor]:
        """Return scores `[H, Lq, Lk]` with -inf where a query does not see a key, and keys."""
        keys = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        scores = torch.einsum("qhe,khe->hqk", q, keys) * scale

        def place(bounds: Tensor, length: int) -> tuple[Tensor, Tensor]:
            at = torch.arange(length, device=bounds.device)
            owner = torch.bucketize(at, bounds[1:], right=True)
            return owner, at - bounds[owner]

        query_owner, query_at = place(s.query_bounds, q.shape[0])
        key_owner, key_at = place(s.key_bounds, k.shape[0])
        sees = query_owner[:, None] == key_owner[None]
        if s.causal:
            sees &= query_at[:, None] >= key_at[None]
        return scores.masked_fill(~sees, -torch.inf), keys

    @classmethod
    def forward(cls, q: Tensor, k: Tensor, v: Tensor, s: Segments, scale: float) -> tuple[Any, ...]:
        """Return `[L, H, E]`, log-sum-exp `[H, L]` and nothing."""
        scores, _ = cls._scores(q, k, s, scale)
        lse = scores.logsumexp(-1)
        values = v.repeat_interleave(q.shape[1] // v.shape[1], 1)
        out = torch.einsum("hqk,khe->qhe", (scores - lse[..., None]).exp(), values)
        return out, lse, None

    @classmethod
    def backward(
        cls, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
        s: Segments, scale: float, saved: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Return gradients of q, k and v for the given (possibly merged) output and log-sum-exp."""
        groups = q.shape[1] // k.shape[1]
        scores, keys = cls._scores(q, k, s, scale)
        probs = (scores - lse[..., None]).exp()
        values = v.repeat_interleave(groups, 1)
        delta = (grad * out).sum(-1).T
        d_scores = probs * (torch.einsum("qhe,khe->hqk", grad, values) - delta[..., None])
        dq = torch.einsum("hqk,khe->qhe", d_scores, keys) * scale
        dk = torch.einsum("hqk,qhe->khe", d_scores, q) * scale
        dv = torch.einsum("hqk,qhe->khe", probs, grad)
        shape = (k.shape[0], k.shape[1], groups, k.shape[2])
        return dq, dk.view(shape).sum(2), dv.view(shape).sum(2)


KERNELS: dict[str, Any] = {
    "torch-flash": TorchFlash,
    "flash-attn": FlashAttn,
    "explicit": Explicit,
}


class _TreeAttention(torch.autograd.Function):
    """Exact attention over a packed tree, forward and backward, from two kernel calls each."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: TreeLayout, scale: float, kernel: str
    ) -> Tensor:
        ops = KERNELS[kernel]
        bounds, longest = layout.segments(q.device)
        own = Segments(bounds, bounds, longest, longest, True)
        out, lse, saved_own = ops.forward(q, k, v, own, scale)
        rows, columns, query_bounds, key_bounds, longest_query, longest_key = layout.crossings(
            q.device
        )
        cross, saved_cross = None, None
        if len(rows):
            cross = Segments(query_bounds, key_bounds, longest_query, longest_key, False)
            seen, seen_lse, saved_cross = ops.forward(q[rows], k[columns], v[columns], cross, scale)
            both = torch.logaddexp(lse[:, rows], seen_lse)
            keep = (lse[:, rows] - both).exp().T[..., None]
            add = (seen_lse - both).exp().T[..., None]
            out = out.index_copy(0, rows, (out[rows] * keep + seen * add).to(out.dtype))
            lse = lse.index_copy(1, rows, both)
        ctx.save_for_backward(q, k, v, out, lse, rows, columns)
        ctx.plan = (ops, own, cross, scale, saved_own, saved_cross)
        merged: Tensor = out
        return merged

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse, rows, columns = ctx.saved_tensors
        ops, own, cross, scale, saved_own, saved_cross = ctx.plan
        grad = grad.contiguous()
        dq, dk, dv = ops.backward(grad, q, k, v, out, lse, own, scale, saved_own)
        if cross is not None:
            cq, ck, cv = ops.backward(
                grad[rows], q[rows], k[columns], v[columns], out[rows],
                lse[:, rows].contiguous(), cross, scale, saved_cross,
            )  # fmt: skip
            dq = dq.index_add(0, rows, cq)
            dk = dk.index_add(0, columns, ck)
            dv = dv.index_add(0, columns, cv)
        return dq, dk, dv, None, None, None


def flash_tree_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: TreeLayout,
    scale: float | None,
    *,
    kernel: Kernel | str,
) -> Tensor:
    """Attend within packed trees on flash kernels.

    Args:
        query: `[1, H, L, E]`.
        key: `[1, G, L, E]`.
        value: `[1, G, L, E]`.
        layout: Where prefixes and branches lie.
        scale: Factor on the scores; 1/sqrt(E) if None.
        kernel: A name in `KERNELS`.

    Returns:
        `[1, L, H, E]`.
    """
    q, k, v = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    output: Tensor = _TreeAttention.apply(q, k, v, layout, scale, kernel)
    return output[None]
