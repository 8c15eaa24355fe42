"""Three ways to run a packed batch: equal where all apply, told apart where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.backbones.tiny_families import build
from tpo_backbones.generic import check
from tpo_core.backbone import Strategy
from tpo_core.batch import pack
from tpo_core.errors import InputError
from tpo_core.testing.backbone_samples import conversations, sample_media


def batch_of(adapter: Any) -> Any:
    chats = conversations()
    records = [
        adapter.renderer.render(sample_media("video"), chats),
        adapter.renderer.render(None, chats[:2]),
        adapter.renderer.render(sample_media("image"), chats[:1]),
        adapter.renderer.render(sample_media("video", seed=1), [chats[2]]),
    ]
    return pack(records)


# Plain attention, positions in three axes, windows and image blocks, features added in layers.
@pytest.mark.parametrize("family", ["llava_onevision", "qwen2_5_vl", "gemma3", "qwen3_vl"])
def test_strategies_agree(family: str, tmp_path: Path) -> None:
    adapter = build(family, tmp_path)
    batch = batch_of(adapter)
    with torch.no_grad():
        visual = adapter.encode(batch.records)
        single = adapter.run_packed("single", batch, visual)
        for strategy in get_args(Strategy):
            states = adapter.run_packed(strategy, batch, visual)
            error = float((states - single).abs().max() / single.abs().max())
            assert error < 1e-5, f"{strategy} differs by {error:.1e}"


def test_the_check_sees_a_leak(tmp_path: Path) -> None:
    """A linear-attention model leaks between branches in a tree, and the reason says so."""
    adapter = build("lfm2_vl", tmp_path)
    assert adapter.strategy == "prefix_cache"
    assert "tree differs from separate runs" in adapter.strategy_reason


def test_the_check_refuses_a_model_that_no_strategy_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = build("llava_onevision", tmp_path)
    monkeypatch.setattr(check, "_tolerance", lambda dtype: -1.0)
    with pytest.raises(InputError, match=r"cannot be used: tree differs .* single differs"):
        adapter.self_check()


def test_checkpointing_replaces_a_cache_by_single_rows(tmp_path: Path) -> None:
    """The cache is off while activations are recomputed."""
    adapter = build("lfm2_vl", tmp_path)
    batch = batch_of(adapter)
    visual = adapter.encode(batch.records)
    adapter.eval()
    expected = adapter(batch, visual).detach()
    adapter.train()
    adapter.enable_gradient_checkpointing()
    states = adapter(batch, visual)
    torch.testing.assert_close(states.detach(), expected, atol=1e-4, rtol=0)
    states.sum().backward()


def test_a_record_without_branches_runs(tmp_path: Path) -> None:
    adapter = build("llava_onevision", tmp_path)
    record = adapter.renderer.render(sample_media("image"), [])
    batch = pack([record, adapter.renderer.render(None, conversations()[:1])])
    with torch.no_grad():
        found = [
            adapter.run_packed(name, batch, adapter.encode(batch.records))
            for name in get_args(Strategy)
        ]
    for states in found:
        assert len(states) == len(batch.ids)
        torch.testing.assert_close(states, found[-1], atol=1e-5, rtol=0)
