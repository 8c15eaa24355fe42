"""Tree attention equals attention with the explicit mask, forward and backward, on every path."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tpo_core import attention
from tpo_core.attention import TreeLayout, choose, tree_attention, tree_mask
from tpo_core.errors import InputError
from tpo_core.flash import flash_tree_attention

LAYOUTS = {
    "one path": [(5, [4])],
    "tree": [(6, [3, 1, 4])],
    "two trees": [(6, [3, 2]), (4, [1, 5, 2])],
    "text only": [(0, [7]), (0, [3, 2])],
    "prefix alone": [(5, []), (3, [2, 2])],
    "mixed": [(3, [2]), (0, [4]), (7, [1, 1, 1])],
}


def spans_of(sizes: list[tuple[int, list[int]]]) -> list[tuple[slice, list[slice]]]:
    spans, at = [], 0
    for prefix, branches in sizes:
        start = slice(at, at + prefix)
        at += prefix
        parts = []
        for length in branches:
            parts.append(slice(at, at + length))
            at += length
        spans.append((start, parts))
    return spans


def dense_mask(spans: list[tuple[slice, list[slice]]]) -> torch.Tensor:
    length = max([s.stop for p, b in spans for s in (p, *b)])
    mask = torch.zeros(length, length, dtype=torch.bool)
    for prefix, branches in spans:
        mask[prefix, prefix] = True
        for branch in branches:
            mask[branch, prefix] = True
            mask[branch, branch] = True
    return mask.tril()


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def spans(request: pytest.FixtureRequest) -> list[tuple[slice, list[slice]]]:
    return spans_of(request.param)


def inputs(length: int, *, dtype: torch.dtype = torch.float64, device: str = "cpu"):
    torch.manual_seed(0)
    return [
        torch.randn(1, heads, length, 8, dtype=dtype, device=device, requires_grad=True)
        for heads in (4, 2, 2)
    ]


def expected(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True).transpose(1, 2)


@pytest.mark.parametrize("path", ["by record", "explicit kernel"])
def test_equals_dense_mask(spans, path: str) -> None:
    length = TreeLayout(spans).length
    q, k, v = inputs(length)
    weight = torch.randn(1, length, 4, 8, dtype=q.dtype)
    want = expected(q, k, v, dense_mask(spans))
    want_grads = torch.autograd.grad((want * weight).sum(), (q, k, v))
    if path == "by record":
        mask = tree_mask(spans, device="cpu")
        got, _ = tree_attention(torch.nn.Module(), q, k, v, mask)
    else:
        got = flash_tree_attention(q, k, v, TreeLayout(spans), None, kernel="explicit")
    got_grads = torch.autograd.grad((got * weight).sum(), (q, k, v))
    torch.testing.assert_close(got, want)
    for one, two in zip(got_grads, want_grads, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_flash_kernels_equal_dense_mask_on_cuda(spans, dtype: torch.dtype) -> None:
    length = TreeLayout(spans).length
    q, k, v = inputs(length, dtype=dtype, device="cuda")
    want = expected(q.double(), k.double(), v.double(), dense_mask(spans).cuda())
    want_grads = torch.autograd.grad(want.square().sum(), (q, k, v))
    got, _ = tree_attention(torch.nn.Module(), q, k, v, tree_mask(spans, device="cuda"))
    got_grads = torch.autograd.grad(got.double().square().sum(), (q, k, v))
    torch.testing.assert_close(got.double(), want, atol=2e-2, rtol=2e-2)
    for one, two in zip(got_grads, want_grads, strict=True):
        torch.testing.assert_close(one, two, atol=6e-2, rtol=6e-2)


def test_the_mask_takes_no_memory() -> None:
    mask = tree_mask(spans_of([(50_000, [10_000] * 5)]), device="cpu")
    assert mask.shape == (1, 1, 100_000, 100_000)
    assert mask.untyped_storage().nbytes() == 1


def test_choice_is_explained_and_never_silent() -> None:
    choice = choose(device="cpu", dtype=torch.bfloat16, head_size=64)
    assert choice.kernel == "sdpa"
    assert "CUDA" in choice.reason
    with pytest.raises(InputError, match="flash kernels need a CUDA device, got cpu"):
        choose(device="cpu", dtype=torch.bfloat16, head_size=64, kernel="torch-flash")
    with pytest.raises(InputError, match="expected auto"):
        choose(device="cpu", dtype=torch.bfloat16, head_size=64, kernel="flsh")
    assert all(len(row) == 3 for row in attention.describe())


def test_a_path_longer_than_the_window_is_refused() -> None:
    spans = spans_of([(6, [3, 4])])
    q, k, v = inputs(13)
    with pytest.raises(InputError, match="10 tokens exceeds"):
        tree_attention(torch.nn.Module(), q, k, v, tree_mask(spans, device="cpu"), sliding_window=9)
    tree_attention(torch.nn.Module(), q, k, v, tree_mask(spans, device="cpu"), sliding_window=10)
