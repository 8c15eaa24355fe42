"""Files are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpo_core import cli
from tpo_core.errors import InputError
from tpo_core.files import held, whole_file, writable_folder


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with whole_file(path) as draft:
            draft.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*file/folder"):
        writable_folder(tmp_path / "file" / "folder")


_HOLDER = """
import sys, time
from pathlib import Path
from tpo_core.files import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the folder `busy`."""
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "busy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_is_held_by_one_process(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    busy = str(tmp_path / "busy")
    for command in (
        ["quickstart", "--out", busy],
        ["train", "quickstart", "--out", busy],
        ["eval", "tiny_world", "--model", "m", "--data", str(tmp_path), "--out", busy],
    ):
        assert cli.main(command) == 1
        assert "another process is writing to" in capsys.readouterr().err
    assert list((tmp_path / "busy").iterdir()) == []

    holder.kill()
    holder.wait()
    with held(tmp_path / "busy"):
        pass


def test_the_process_that_holds_a_folder_may_hold_it_again(tmp_path: Path) -> None:
    with held(tmp_path), held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with held(tmp_path / "file" / "folder"):
        assert not (tmp_path / "file" / "folder").exists()
