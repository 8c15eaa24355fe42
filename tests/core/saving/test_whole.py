"""A folder holds the old model or the new one, whatever happens in between."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from tests.core.saving.samples import differing
from tpo_core.errors import CheckpointError
from tpo_core.saving import load, save
from tpo_core.saving import write as write_module
from tpo_core.saving.folder import replacing


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
