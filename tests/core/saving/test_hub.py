"""Models that are pushed come back the same from the hub."""

from __future__ import annotations

import shutil

import pytest

from tests.core.saving.samples import differing
from tpo_core.errors import CheckpointError
from tpo_core.saving import load, push


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
