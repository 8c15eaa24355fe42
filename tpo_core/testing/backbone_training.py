"""Tests of parameter groups, gradients, LoRA, saving and the check at load time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tpo_core.backbone import BackboneAdapter, GroupName, RenderedRecord, Strategy
from tpo_core.batch import pack
from tpo_core.lora import LoraSettings, add_adapter, base_state_dict, is_lora, is_token_row
from tpo_core.testing.backbone_case import BackboneCase
from tpo_core.testing.backbone_samples import TASK_TOKENS, gradients, only

_GRADIENT_TOLERANCE = 1e-4


class TrainingTests(BackboneCase):
    """What trains, what does not, and that it survives saving.

    Attributes:
        idle: Parts of connector and decoder names that a pass over the samples may leave without
            a gradient (experts that no token chose, parts for generating images).
    """

    idle: ClassVar[tuple[str, ...]] = ()

    # ---- parameters

    def test_groups_are_disjoint_and_complete(self, ready: BackboneAdapter) -> None:
        """Every parameter belongs to exactly one group, and no group is empty."""
        groups = [set(ready.parameter_group(name)) for name in get_args(GroupName)]
        assert all(groups)
        names = [name for name, _ in ready.model.named_parameters()]
        assert sorted(name for group in groups for name in group) == sorted(names)

    def test_lora_stays_in_the_decoder(self, ready: BackboneAdapter) -> None:
        """LoRA wraps linear layers of the language model only, and token rows nothing but rows."""
        inside = set(ready.parameter_group("llm"))
        targets = ready.lora_targets()
        assert targets
        for name in targets:
            assert isinstance(ready.model.get_submodule(name), nn.Linear)
            assert f"{name}.weight" in inside
        twin, wrapped = _with_adapter(ready)
        trained = [name for name, p in wrapped.named_parameters() if p.requires_grad]
        assert all(is_lora(name) or is_token_row(name) for name in trained)
        assert {name.partition(".lora_")[0] for name in trained if is_lora(name)} == {
            f"base_model.model.{name}" for name in targets
        }
        found = {name: set(twin.parameter_group(name)) for name in get_args(GroupName)}
        own = {name: len(ready.parameter_group(name)) for name in get_args(GroupName)}
        assert {name: len(group) for name, group in found.items()} == own

    # ---- gradients

    def test_gradients_reach_what_trains(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """LoRA, token rows and connector get gradients; everything else stays without."""
        twin, wrapped = _with_adapter(ready)
        connector = twin.parameter_group("connector")
        for parameter in connector.values():
            parameter.requires_grad_(True)
        torch.autograd.backward(_loss(twin, records))
        dead = [
            name
            for name, p in wrapped.named_parameters()
            if p.requires_grad and (p.grad is None or not bool(p.grad.abs().max() > 0))
        ]
        assert [name for name in dead if not any(part in name for part in self.idle)] == []
        assert any(p.grad is not None for p in connector.values())
        assert all(p.grad is None for p in twin.parameter_group("vision").values())

    def test_gradients_reach_the_vision_tower(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """A trainable tower is trained through `encode`."""
        twin = copy.deepcopy(ready).requires_grad_(False)
        for parameter in twin.parameter_group("vision").values():
            parameter.requires_grad_(True)
        shown = {name: record for name, record in records.items() if record.media is not None}
        torch.autograd.backward(_loss(twin, shown))
        tower = twin.parameter_group("vision")
        used = [n for n in tower if not any(part in n for part in self.idle)]
        assert sum(tower[name].grad is not None for name in used) > len(used) / 2

    def test_packed_gradients_equal_separate(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Sharing a prefix changes no gradient."""
        twin, wrapped = _with_adapter(ready)
        named = [(name, p) for name, p in wrapped.named_parameters() if p.requires_grad]
        packed = _gradients(twin, records, named)
        wrapped.zero_grad()
        for record in records.values():
            for number in range(len(record.branches)):
                torch.autograd.backward(_loss(twin, {"one": only(record, number)}))
        self._same_gradients(packed, gradients(named))

    def test_checkpointing_keeps_gradients(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Recomputing activations gives the same gradients, with frozen embeddings too."""
        found = []
        for is_on in (False, True):
            twin, wrapped = _with_adapter(ready)
            twin.train()
            if is_on:
                twin.enable_gradient_checkpointing()
            named = [(name, p) for name, p in wrapped.named_parameters() if p.requires_grad]
            found.append(_gradients(twin, records, named))
        self._same_gradients(*found)

    def test_frozen_tower_stays_in_eval(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Statistics of a frozen tower must not move while the rest trains."""
        twin, _ = _with_adapter(ready)
        twin.train()
        assert twin.training
        buffers = {name: value.clone() for name, value in twin.model.named_buffers()}
        twin.encode(list(records.values()))
        for name, value in twin.model.named_buffers():
            assert torch.equal(value, buffers[name]), f"buffer {name} moved"

    # ---- saving

    def test_saved_and_loaded_is_the_same(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], tmp_path: Path
    ) -> None:
        """Weights, tokens and rendering come back bit by bit."""
        ready.save(str(tmp_path))
        again = type(ready).load(str(tmp_path))
        assert again.add_tokens(TASK_TOKENS) == ready.add_tokens(TASK_TOKENS)
        for name, record in records.items():
            assert torch.equal(_states(again, record), _states(ready, record)), name

    def test_adapter_saved_loaded_and_merged(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], tmp_path: Path
    ) -> None:
        """LoRA and token rows come back bit by bit; merging them changes rounding only."""
        from peft import PeftModel

        twin, wrapped = _with_adapter(ready)
        twin.eval()
        record = records[self.media[0]]
        before = _states(twin, record)
        with torch.no_grad():
            logits = twin.logits(before)
        twin.save(str(tmp_path / "base"))
        wrapped.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
        again = type(ready).load(str(tmp_path / "base"))
        loaded = PeftModel.from_pretrained(again.model, str(tmp_path / "adapter"))
        again.eval()
        assert torch.equal(_states(again, record), before)
        loaded.merge_and_unload()
        merged = _states(again, record)
        self._same(merged, before, "merged")
        with torch.no_grad():
            self._same(again.logits(merged), logits, "logits of the merged model")
        again.save(str(tmp_path / "merged"))
        reloaded = type(ready).load(str(tmp_path / "merged"))
        weights = base_state_dict(again.model)
        for name, value in base_state_dict(reloaded.model).items():
            assert torch.equal(value, weights[name]), f"{name} of the merged model changed"
        # The same weights elsewhere in memory may be multiplied in another order.
        self._same(_states(reloaded, record), merged, "merged and loaded")

    # ---- the check at load time

    def test_self_check_disturbs_nothing(self, ready: BackboneAdapter) -> None:
        """It chooses a strategy, says why, and leaves modes, gradients and random state alone."""
        twin = copy.deepcopy(ready).train()
        modes = [module.training for module in twin.modules()]
        before = torch.get_rng_state()
        reason = twin.self_check()
        assert twin.strategy in get_args(Strategy)
        assert twin.strategy == ready.strategy
        assert twin.strategy in reason
        assert [module.training for module in twin.modules()] == modes
        assert torch.equal(torch.get_rng_state(), before)
        assert all(p.grad is None for p in twin.parameters())

    def _same_gradients(self, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
        assert found.keys() == expected.keys()
        largest = max(float(value.abs().max()) for value in expected.values())
        for name, value in expected.items():
            error = float((found[name] - value).abs().max()) / largest
            assert error <= _GRADIENT_TOLERANCE, f"{name}: gradient differs by {error:.1e}"


def _with_adapter(backbone: BackboneAdapter) -> tuple[BackboneAdapter, Any]:
    """Return a copy with LoRA that is not zero and trainable token rows, and PEFT's wrapper."""
    twin = copy.deepcopy(backbone)
    ids = list(twin.add_tokens(TASK_TOKENS))
    with torch.random.fork_rng(devices=[]):  # LoRA's own start is random
        torch.manual_seed(3)
        wrapped = add_adapter(twin, ids, LoraSettings(rank=2, alpha=4))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter.dtype), alpha=0.05)
    return twin, wrapped


def _loss(backbone: BackboneAdapter, records: dict[str, RenderedRecord]) -> Tensor:
    """Return the summed cross-entropy of all supervised tokens that have one before them."""
    batch = pack(list(records.values()))
    states = backbone(batch, backbone.encode(batch.records))
    positions = []
    for record, (_, branches) in zip(batch.records, batch.spans(), strict=True):
        for branch, span in zip(record.branches, branches, strict=True):
            positions += [span.start + int(at) for at in branch.supervised.nonzero()[:, 0]]
    at = torch.tensor(positions)
    return cross_entropy(backbone.logits(states[at - 1]), batch.ids[at], reduction="sum")


def _gradients(
    backbone: BackboneAdapter, records: dict[str, RenderedRecord], named: list[tuple[str, Tensor]]
) -> dict[str, Tensor]:
    torch.autograd.backward(_loss(backbone, records))
    return gradients(named)


@torch.no_grad()
def _states(backbone: BackboneAdapter, record: RenderedRecord) -> Tensor:
    states: Tensor = backbone(pack([record]), backbone.encode([record]))
    return states
