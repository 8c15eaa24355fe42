"""Models survive saving bit by bit, a failed save harms nothing, what does not fit is refused."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.backbones.tiny_families import write
from tpo_core.errors import CheckpointError, InputError
from tpo_core.model import attach, from_pretrained
from tpo_core.saving import load, push, save
from tpo_core.saving import write as write_module
from tpo_core.saving.folder import replacing

HEADS = {"region": {"activation": "none"}, "temporal": {"width": 16}}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        tied: write("llava_onevision", folder / f"tied_{tied}", tied=tied) for tied in (False, True)
    }


def build(checkpoint, **options):
    """A model in which everything that may be trained differs from where it started."""
    torch.manual_seed(0)
    model = attach(str(checkpoint), HEADS, **{"device": "cpu", **options}).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.num_frames = 5
    return model


def train_connector(model):
    for parameter in model.backbone.parameter_group("connector").values():
        parameter.data.add_(0.01)
    model.trained_groups.add("connector")


@pytest.fixture(scope="module")
def model(checkpoints):
    return build(checkpoints[False])


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """A saved model, its backbone by reference; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    save(model, folder, include_backbone=False, figures={"region_acc@0.5": 0.8125})
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "model"))


def differing(model, other):
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return [name for name in ours if not torch.equal(ours[name], theirs[name])]


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


# What does not fit


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_tensors(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


CONFIGS = {
    "hidden size": (
        lambda c: c["backbone"].update(hidden_size=128),
        "trained on a backbone of hidden size 128, but",
    ),
    "token id": (
        lambda c: c["tokens"].update({"<boxes>": 7}),
        "'<boxes>' has id 394, but was trained as 7",
    ),
    "token text": (lambda c: c["tokens"].pop("<temp>"), "differ in <temp>"),
    "head": (
        lambda c: c["heads"].update(regoin={}),
        "unknown head 'regoin'; did you mean 'region'?",
    ),
    "head option": (lambda c: c["heads"]["temporal"].update(widht=2), "widht"),
    "other width": (lambda c: c["heads"]["temporal"].update(width=32), "has shape"),
    "lora rank": (
        lambda c: c["lora"].update(rank=4),
        "has shape [16, 96], expected [4, 96] (and 27 more)",
    ),
    "key": (lambda c: c.update(extra=1), "this key is not part of the format"),
    "missing key": (lambda c: c.pop("num_frames"), "num_frames"),
    "version": (lambda c: c.update(format_version=9), "upgrade tpo"),
    "format": (lambda c: c.pop("format"), "tpo_core.attach"),
    "backbone": (
        lambda c: c["backbone"].update(source="/nowhere/at/all"),
        "'/nowhere/at/all' does not exist",
    ),
    "trained": (
        lambda c: c.update(trained_groups=["vision"]),
        "trained_base.safetensors is missing",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_does_not_fit_is_refused(copied, name):
    change, message = CONFIGS[name]
    edit(copied / "config.json", change)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load(copied, device="cpu")


@pytest.mark.parametrize("file", ["heads.safetensors", "adapter/adapter_model.safetensors"])
@pytest.mark.parametrize("kind", ["missing", "unexpected", "shape", "truncated", "gone", "empty"])
def test_weights_that_do_not_fit_are_refused(copied, file, kind):
    path = copied / file
    message = {
        "missing": "is missing (and 1 more)",
        "unexpected": "more is unexpected",
        "shape": "has shape [1]",
        "gone": f"{path} is missing",
    }.get(kind, f"{path} is broken")

    def drop_two(tensors):
        for name in list(tensors)[:2]:
            del tensors[name]

    if kind == "missing":
        edit_tensors(path, drop_two)
    elif kind == "unexpected":
        edit_tensors(path, lambda tensors: tensors.update(more=torch.zeros(1)))
    elif kind == "shape":
        edit_tensors(path, lambda tensors: tensors.update({next(iter(tensors)): torch.zeros(1)}))
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "gone":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load(copied, device="cpu")


def test_a_plain_backbone_is_no_saved_model(checkpoints):
    with pytest.raises(CheckpointError, match=r"put heads on it with tpo_core\.attach"):
        load(checkpoints[False])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", "the model missing does not exist"),
        ("./owner/name", "does not exist"),
        ("owner/name", "no model at 'owner/name': neither a folder here nor on the hub"),
    ],
)
def test_a_model_that_is_nowhere_says_so(source, message):
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load(source)


def test_a_folder_without_config_or_with_a_broken_one(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(tmp_path)


# Whole or not at all


def test_a_new_version_replaces_the_old_and_keeps_what_others_put_there(model, copied):
    (copied / "notes.txt").write_text("mine")
    (copied / "logs").mkdir()
    (copied / "logs/a.txt").write_text("mine too")
    (copied / "trained_base.safetensors").write_bytes(b"stale")
    save(model, copied, include_backbone=False)
    assert (copied / "notes.txt").read_text() == "mine"
    assert (copied / "logs/a.txt").read_text() == "mine too"
    assert not (copied / "trained_base.safetensors").exists()
    assert os.listdir(copied.parent) == ["model"]
    assert differing(model, load(copied, device="cpu")) == []


def test_a_folder_of_other_files_is_refused(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="holds other files than a saved model"):
        save(model, tmp_path)
    with pytest.raises(CheckpointError, match="holds other files than a saved model"):
        save(model, tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.fixture
def full_disk():
    """Let no file grow beyond 100 kB: writing fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_model_whole(model, copied, full_disk):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=r"cannot write the model to .*File too large"):
        save(model, copied, include_backbone=True)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert os.listdir(copied.parent) == ["model"]


def test_a_kill_in_mid_save_leaves_the_old_model_whole(model, copied):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    child = os.fork()
    if child == 0:
        write_module._write_adapter = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        save(model, copied)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (copied.parent / ".model.partial/heads.safetensors").exists(), "it died too early"
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert differing(model, load(copied, device="cpu")) == []
    save(model, copied)
    assert os.listdir(copied.parent) == ["model"], "the next save should clear the remains"


def test_without_an_exchange_of_names_the_folder_is_moved_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("tpo_core.saving.folder._exchange", lambda *names: False)
    target = tmp_path / "folder"
    for number in range(2):
        with replacing(target, owned={"a"}) as new:
            (new / "a").write_text(str(number))
    assert (target / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["folder"]

    real = os.replace

    def fails(source, place):
        if str(source).endswith(".partial"):
            raise OSError("no")
        real(source, place)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no"), replacing(target, owned={"a"}) as new:
        (new / "a").write_text("2")
    assert (target / "a").read_text() == "1"


def test_a_place_that_cannot_be_written_says_so(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write the model to .*choose another folder"):
        save(model, tmp_path / "file/model")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_says_so(model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        save(model, tmp_path / "model")


# Sharing


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub whose repositories are folders; uploads go to `tmp_path / repo`."""
    from huggingface_hub import HfApi

    def create_repo(self, repo_id, **options):
        return f"https://huggingface.co/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, **options):
        shutil.copytree(folder_path, tmp_path / repo_id)

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda repo, allow_patterns: str(tmp_path / repo)
    )


def test_a_pushed_model_can_be_loaded_by_others(model, hub, tmp_path):
    address = model.push_to_hub("owner/name", figures={"qa": 0.5})
    assert address == "https://huggingface.co/owner/name"
    assert (tmp_path / "owner/name/backbone/model.safetensors").exists(), (
        "nobody else has the folder"
    )
    assert differing(model, load("owner/name", device="cpu")) == []


def test_a_push_that_fails_says_why(model, monkeypatch):
    from huggingface_hub import HfApi

    def refuse(self, repo_id, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(CheckpointError, match="cannot upload to 'owner/name': no route to host"):
        push(model, "owner/name")
