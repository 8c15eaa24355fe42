"""Folders that a head's options name travel with a saved model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import tpo_core as tpo
from tpo_core.errors import CheckpointError
from tpo_core.saving.config import read_config
from tpo_core.saving.files import located, portable

SAM2 = Path(__file__).parents[3] / "plugins" / "tpo_plugins" / "tiny" / "sam2"


@pytest.fixture
def saved(tmp_path):
    """Return a model's folder that brings its own SAM2."""
    model = tpo.attach("tiny", {"mask": {}})
    folder = tmp_path / "model"
    model.save_pretrained(str(folder))
    shutil.copytree(SAM2, folder / "files" / "sam2")
    config = folder / "config.json"
    text = config.read_text().replace("package:tpo_plugins/tiny/sam2", "./files/sam2")
    config.write_text(text)
    return folder


def test_a_model_that_brings_a_folder_can_be_moved_and_saved_again(saved, tmp_path):
    moved = tmp_path / "moved"
    saved.rename(moved)
    model = tpo.from_pretrained(str(moved))
    assert model.origin.heads["mask"]["sam2"] == str(moved / "files" / "sam2")
    again = tmp_path / "again"
    model.save_pretrained(str(again))
    shutil.rmtree(moved)
    assert read_config(again).heads == {"mask": {"sam2": "./files/sam2"}}
    loaded = tpo.from_pretrained(str(again)).head_by_task["mask"].sam2.state_dict()
    for name, value in model.head_by_task["mask"].sam2.state_dict().items():
        assert torch.equal(loaded[name], value)
    # In its own place too.
    tpo.from_pretrained(str(again)).save_pretrained(str(again))
    assert tpo.from_pretrained(str(again)).origin.heads["mask"]["sam2"].startswith(str(again))


def test_a_missing_folder_is_named(saved):
    shutil.rmtree(saved / "files")
    with pytest.raises(CheckpointError, match=r"lacks the folder \./files/sam2; get the whole"):
        tpo.from_pretrained(str(saved))


def test_paths_out_of_the_model_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"lacks the folder \./files/\.\./\.\./etc"):
        located({"mask": {"sam2": "./files/../../etc"}}, tmp_path)


def test_other_options_stay_as_they_are(tmp_path):
    options = {"mask": {"sam2": str(tmp_path), "loss_weights": {"bce": 0}}, "region": {"a": ["b"]}}
    assert portable(options) == (options, {})
    assert located(options, tmp_path) == options


def test_folders_of_one_name_stay_apart(saved, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(saved, other)
    two = {n: {"sam2": str(place / "files" / "sam2")} for n, place in (("a", saved), ("b", other))}
    heads, sources = portable(two)
    assert heads == {"a": {"sam2": "./files/sam2"}, "b": {"sam2": "./files/sam2_"}}
    assert sources == {"sam2": saved / "files" / "sam2", "sam2_": other / "files" / "sam2"}
