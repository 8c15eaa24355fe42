"""Saved models that tests copy and spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backbones.tiny_families import write
from tests.core.saving.samples import build
from tpo_core.saving import save


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        tied: write("llava_onevision", folder / f"tied_{tied}", tied=tied) for tied in (False, True)
    }


@pytest.fixture(scope="session")
def model(checkpoints):
    return build(checkpoints[False])


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """A saved model, its backbone by reference; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    save(model, folder, include_backbone=False, figures={"region_acc@0.5": 0.8125})
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "model"))
