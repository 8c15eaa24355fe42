"""Tests of visual features and packed forward passes."""

from __future__ import annotations

import pytest
import torch

from tpo_core.backbone import BackboneAdapter, RenderedRecord
from tpo_core.batch import pack
from tpo_core.testing.backbone_case import BackboneCase
from tpo_core.testing.backbone_samples import (
    TASK_TOKENS,
    MediaName,
    conversations,
    native_run,
    noisy,
    replacing,
    sample_media,
)


class ForwardTests(BackboneCase):
    """Frame features, cached features, packing, logits, prompt embeddings."""

    @pytest.mark.parametrize("name", ["image", "video"])
    def test_frame_features(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: MediaName
    ) -> None:
        """Features are grouped by time: changing the last frame changes the last group only."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        record = records[name]
        assert record.media is not None
        first = ready.frame_features(record, ready.encode([record])[0])
        assert first.features.shape[-1] == ready.hidden_size
        assert len(first.features) == len(first.times)
        assert bool((first.times.diff() > 0).all())
        assert 0 <= float(first.times[0]) <= float(first.times[-1]) <= max(first.duration, 0.0)
        if name == "image":
            assert len(first.times) == 1
            return
        changed = sample_media("video")
        assert changed is not None
        assert changed.frames is not None
        changed.frames[-1] = 255 - changed.frames[-1]
        again = ready.renderer.render(changed, conversations(several=False)[:1])
        second = ready.frame_features(again, ready.encode([again])[0])
        moved = (first.features - second.features).detach().abs().amax((1, 2)) > 1e-6
        assert moved.tolist() == [False] * (len(moved) - 1) + [True]

    def test_features_can_be_cached(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Features computed once serve any batch, and equal those computed together with others."""
        batch = list(records.values())
        together = ready.encode(batch)
        for record, visual in zip(batch, together, strict=True):
            assert (visual is None) == (len(record.prefix_ids) == 0)
            states = ready(pack([record]), [visual])
            assert torch.equal(states, ready(pack([record]), ready.encode([record])))
            assert torch.equal(states, ready(pack([record]), [visual]))

    # ---- packing

    def test_packed_equals_separate(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """A row of several records with several branches gives each path its own states."""
        names = list(records)
        batch = pack([records[name] for name in names])
        with torch.no_grad():
            states = ready(batch, ready.encode(batch.records))
        assert states.shape == (len(batch.ids), ready.hidden_size)
        for name, (prefix, branches) in zip(names, batch.spans(), strict=True):
            for number, branch in enumerate(branches):
                expected = self.separate(ready, records[name], number, name)
                found = torch.cat([states[prefix], states[branch]])
                self._same(found, expected, f"{name}, branch {number}")

    def test_logits(self, ready: BackboneAdapter, records: dict[str, RenderedRecord]) -> None:
        """Logits of chosen states are the model's own."""
        name = next((name for name in self.media if name in self.native), None)
        if name is None:
            pytest.skip("the backbone wraps no transformers model")
        with torch.no_grad():
            states, expected = native_run(ready, records[name], 0, text_type=self.text_type)
            self._same(ready.logits(states[-5:]), expected[-5:], "logits")

    def test_prompt_embeddings(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Given rows replace prompt tokens, receive gradients, and act in their branch alone."""
        record = records[self.media[0]]
        batch = pack([record])
        token = ready.add_tokens(TASK_TOKENS)[-1]
        (position,) = (batch.ids == token).nonzero()[:, 0].tolist()
        own = ready.model.get_input_embeddings()(torch.tensor([token])).detach()  # type: ignore[operator]
        visual = ready.encode([record])
        plain = ready(batch, visual).detach()
        same = ready(batch, visual, replacing(token, own))
        self._same(same.detach(), plain, "rows replaced by themselves")
        values = noisy(own).requires_grad_()
        states = ready(batch, visual, replacing(token, values))
        states.sum().backward()
        assert values.grad is not None
        assert float(values.grad.abs().max()) > 0
        changed = ((states - plain).abs().amax(1) > 1e-3).nonzero()[:, 0].tolist()
        branch = batch.spans()[0][1][1]
        assert position in changed
        assert all(position <= at < branch.stop for at in changed)
        ready.zero_grad()
