"""Models survive saving bit by bit, whatever of them is in the folder."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from tests.core.saving.samples import HEADS, build, differing, train_connector
from tpo_core.build import attach, from_pretrained
from tpo_core.errors import InputError
from tpo_core.saving import load, save


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["included", "reference", "merged", "rows alone"])
def test_a_round_trip_is_exact(checkpoints, tmp_path, tied, kind):
    model = build(checkpoints[tied], **({"lora": None} if kind == "rows alone" else {}))
    train_connector(model)
    if kind == "merged":
        model.merge()
    save(model, tmp_path / "model", include_backbone=kind != "reference")
    loaded = load(tmp_path / "model", device="cpu")
    assert differing(model, loaded) == []
    assert not loaded.training
    assert loaded.num_frames == 5
    assert loaded.origin.heads == HEADS
    assert loaded.is_merged == (kind == "merged")
    assert loaded.trained_groups == {"connector"}
    video = torch.randint(0, 256, (4, 3, 56, 56), dtype=torch.uint8)
    answers = [
        m.predict(video, "Where is <region>?", box=(0.1, 0.1, 0.5, 0.5), task="region")
        for m in (model, loaded)
    ]
    assert answers[0].token_ids == answers[1].token_ids
    assert answers[0].boxes == answers[1].boxes

    # Once more, now that the backbone's origin is the saved folder.
    loaded.save_pretrained(str(tmp_path / "model"))
    assert differing(model, from_pretrained(str(tmp_path / "model"), device="cpu")) == []


def test_a_half_precision_backbone_keeps_its_type(checkpoints, tmp_path):
    model = build(checkpoints[False], dtype=torch.bfloat16)
    save(model, tmp_path / "model")
    assert (
        json.loads((tmp_path / "model/config.json").read_text())["backbone"]["dtype"] == "bfloat16"
    )
    assert differing(model, load(tmp_path / "model", device="cpu", dtype=torch.bfloat16)) == []
    widened = load(tmp_path / "model", device="cpu")
    weights = widened.backbone.parameter_group("vision").values()
    assert all(weight.dtype == torch.float32 for weight in weights)


def test_only_safetensors_and_text_are_written(model, tmp_path):
    save(model, tmp_path / "model", include_backbone=True)
    suffixes = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json", ".jinja", ".md"}


def test_the_adapter_is_one_that_peft_loads(model, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    save(model, tmp_path / "model", include_backbone=True)
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "model/backbone").eval()
    plain = PeftModel.from_pretrained(base, tmp_path / "model/adapter")
    ids = torch.tensor([[5, 80, *model.vocabulary.trained_ids, 90]])
    with torch.no_grad():
        ours = model.backbone.model(input_ids=ids).logits
        torch.testing.assert_close(plain(input_ids=ids).logits, ours, atol=1e-5, rtol=0)


def test_a_trained_group_is_saved_although_the_backbone_is_not(checkpoints, tmp_path):
    model = build(checkpoints[False])
    train_connector(model)
    save(model, tmp_path / "model", include_backbone=False)
    names = load_file(tmp_path / "model/trained_base.safetensors").keys()
    assert names == model.backbone.parameter_group("connector").keys()
    assert not (tmp_path / "model/backbone").exists()


def test_weights_that_may_train_count_as_trained(checkpoints, tmp_path):
    model = build(checkpoints[False])
    for parameter in model.backbone.parameter_group("vision").values():
        parameter.requires_grad_(True)
    save(model, tmp_path / "model", include_backbone=False)
    assert load(tmp_path / "model", device="cpu").trained_groups == {"vision"}


@pytest.mark.parametrize("change", ["nothing", "large", "large and trained", "large and merged"])
def test_what_is_included_by_default(checkpoints, tmp_path, monkeypatch, change):
    model = build(checkpoints[False])
    if change != "nothing":
        monkeypatch.setattr("tpo_core.saving.write.SMALL", 1)
    if "trained" in change:
        train_connector(model)
    if "merged" in change:
        model.merge()
    save(model, tmp_path / "model")
    assert (tmp_path / "model/backbone").exists() == (change != "large")
    assert (tmp_path / "model/processor/tokenizer.json").exists() == (change == "large")


def test_a_backbone_from_nowhere_is_included(checkpoints, tmp_path):
    from tests.backbones.tiny_families import build as build_adapter

    model = attach(build_adapter("llava_onevision", tmp_path / "gone"), ["region"])
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(InputError, match="the backbone must be saved"):
        save(model, tmp_path / "model", include_backbone=False)
    save(model, tmp_path / "model")
    assert differing(model, load(tmp_path / "model", device="cpu")) == []


def test_a_merged_backbone_must_be_included(checkpoints, tmp_path):
    with pytest.raises(InputError, match="LoRA was merged into it"):
        save(build(checkpoints[False]).merge(), tmp_path / "model", include_backbone=False)
    assert not (tmp_path / "model").exists()


def test_the_card_says_what_it_is(saved, checkpoints):
    card = (saved / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: tpo\n")
    assert f"| backbone | `{checkpoints[False]}`, float32, loaded from" in card
    assert "| head `region` | `region` |" in card
    assert "| region_acc@0.5 | 0.8125 |" in card
    assert "rank 16, alpha 32" in card
