"""Trainable token rows and LoRA: only they change, whether embeddings are tied or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.backbones.tiny_families import write
from tpo_core.batch import pack
from tpo_core.build import attach, from_pretrained
from tpo_core.lora import LoraSettings, base_state_dict, is_lora, is_token_row
from tpo_core.records.schema import Message

HEADS = {"region": {}, "temporal": {"width": 16}}
TABLES = ("model.language_model.embed_tokens.weight", "lm_head.weight")


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def checkpoint(request, tmp_path_factory):
    return write("llava_onevision", tmp_path_factory.mktemp("lora"), tied=request.param)


def build(checkpoint, **options):
    torch.manual_seed(0)
    return attach(str(checkpoint), HEADS, device="cpu", **options).eval()


def conversation(model):
    turns = [
        Message(role="user", content="When and where is <track_box>?"),
        Message(role="assistant", content="At <time_begin><temp> it is in <box_begin><boxes>."),
    ]
    return model.backbone.renderer.render(None, [turns])


def states_of(model):
    record = conversation(model)
    return model.backbone(pack([record]), [None]), record.branches[0]


def train(model, steps=3):
    """Some AdamW steps with weight decay on the language-model loss."""
    parameters = [p for p in model.backbone.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)
    losses = []
    for _ in range(steps):
        states, branch = states_of(model)
        labelled = branch.supervised[1:].nonzero()[:, 0]
        logits = model.backbone.logits(states[labelled])
        loss = F.cross_entropy(logits, branch.ids[labelled + 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tables(model):
    """Return the embedding tables as the merged model has them, input and output."""
    inputs = model.backbone.model.get_input_embeddings().weight
    return inputs, model.backbone.model.get_output_embeddings().weight


def is_tied(model):
    inputs, outputs = tables(model)
    return inputs.data_ptr() == outputs.data_ptr()


def test_only_lora_and_token_rows_train(checkpoint):
    model = build(checkpoint)
    trained = {n for n, p in model.backbone.model.named_parameters() if p.requires_grad}
    assert trained
    assert all(is_lora(name) or is_token_row(name) for name in trained)
    assert all("language_model.layers" in name for name in trained if is_lora(name))
    rows = [p for n, p in model.backbone.model.named_parameters() if is_token_row(n)]
    assert [len(row) for row in rows] == [4] * (1 if is_tied(build(checkpoint).merge()) else 2)


def test_after_training_and_merging_only_those_rows_of_the_tables_differ(checkpoint):
    model = build(checkpoint)
    before = [table.clone() for table in tables(build(checkpoint).merge())]
    frozen = {name: value.clone() for name, value in base_state_dict(model.backbone.model).items()}
    losses = train(model)
    assert losses[-1] < losses[0]
    for name, value in base_state_dict(model.backbone.model).items():
        assert torch.equal(value, frozen[name]), f"{name} changed in place"
    model.merge()
    for table, old in zip(tables(model), before, strict=True):
        changed = (table != old).any(1).nonzero()[:, 0].tolist()
        assert changed == model.vocabulary.trained_ids
    prompt = model.vocabulary.ids["<track_box>"]
    assert prompt not in model.vocabulary.trained_ids


@pytest.mark.parametrize("lora", [LoraSettings(), None], ids=["lora", "rows_alone"])
def test_merging_keeps_states_logits_and_tying(checkpoint, lora):
    model = build(checkpoint, lora=lora)
    train(model)
    with torch.no_grad():
        states, _ = states_of(model)
        logits = model.backbone.logits(states)
        was_tied = is_tied(build(checkpoint).merge())
        model.merge()
        merged, _ = states_of(model)
        torch.testing.assert_close(merged, states, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.backbone.logits(merged), logits, atol=2e-5, rtol=0)
    assert is_tied(model) == was_tied
    assert model.peft is None
    assert model.is_merged


def test_training_resumes_exactly_after_loading(checkpoint, tmp_path):
    model = build(checkpoint)
    train(model, steps=2)
    model.save_pretrained(str(tmp_path / "model"))
    resumed = from_pretrained(str(tmp_path / "model"), device="cpu")
    assert train(resumed) == train(model)
    ours, theirs = model.state_dict(), resumed.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_merging_after_loading_equals_merging(checkpoint, tmp_path):
    model = build(checkpoint)
    train(model)
    model.save_pretrained(str(tmp_path / "model"))
    loaded = from_pretrained(str(tmp_path / "model"), device="cpu").merge()
    ours, theirs = model.merge().state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_the_base_keeps_its_own_names_and_weights(checkpoint):
    from transformers import AutoModelForImageTextToText

    original = AutoModelForImageTextToText.from_pretrained(checkpoint).state_dict()
    model = build(checkpoint)
    train(model)
    ours = base_state_dict(model.backbone.model)
    assert ours.keys() == original.keys()
    known = min(model.vocabulary.ids.values())
    for name, value in original.items():
        kept = slice(known) if name in TABLES else slice(None)
        assert torch.equal(ours[name][kept], value[kept]), name


def test_without_lora_the_rows_alone_train(checkpoint):
    model = build(checkpoint, lora=None)
    names = [n for n, p in model.backbone.model.named_parameters() if p.requires_grad]
    assert names
    assert all(is_token_row(name) for name in names)
    losses = train(model)
    assert losses[-1] < losses[0]


def test_settings_reach_every_layer(checkpoint):
    model = build(checkpoint, lora=LoraSettings(rank=3, alpha=6))
    ranks = {
        len(p) for n, p in model.backbone.model.named_parameters() if n.endswith("A.default.weight")
    }
    assert ranks == {3}
