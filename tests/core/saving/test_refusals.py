"""What does not fit a model is refused, with the reason."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from tpo_core.errors import CheckpointError
from tpo_core.saving import load


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
