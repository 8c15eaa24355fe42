from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpo_core import cli
from tpo_core.cli import app
from tpo_core.errors import InputError
from tpo_core.media.open import open_media
from tpo_core.records.inspection import Inspection, inspect_files
from tpo_core.records.quarantine import Quarantine
from tpo_core.records.reader import RecordFile, record_files

Raw = dict[str, Any]
WriteRecords = Callable[..., Path]


@pytest.fixture
def tpo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    commands = {**cli.COMMANDS, "inspect": cli.Command("Count what a dataset holds.")}
    monkeypatch.setattr(cli, "COMMANDS", commands)
    monkeypatch.setattr(app, "COMMANDS", commands)
    return lambda *words: cli.main([str(word) for word in words])


@pytest.fixture
def mixed(write_records: WriteRecords, good: Raw) -> Path:
    """Five lines: two good videos (one clipped), a picture, a blank line, missing media."""
    late = copy.deepcopy(good)
    late["branches"][0]["targets"][0]["spans"] = [[0.5, 3.0]]
    picture = {
        "id": "p",
        "media": {"type": "image", "path": "picture.png"},
        "branches": [
            {
                "messages": [
                    {"role": "user", "content": "What is it?"},
                    {"role": "assistant", "content": "Grey."},
                ]
            }
        ],
    }
    missing = {**good, "media": {"type": "video", "path": "absent.mp4"}}
    return write_records(good, late, picture, b"", missing)


def test_counts(mixed: Path) -> None:
    ticks: list[None] = []
    found = inspect_files([RecordFile(mixed)], limit=0.5, advance=lambda: ticks.append(None))
    assert len(ticks) == 5
    assert found.to_json() == {
        "files": {str(mixed): 5},
        "records": 5,
        "branches": 5,
        "tasks": {"temporal": 2, "region": 2, "mask": 2, "chat": 1},
        "prompts": {"region": 2},
        "media": {"video": 2, "image": 1},
        "duration": {"min": 2.0, "median": 2.0, "max": 2.0, "total": 4.0},
        "sizes": {"32x48": 3},
        "clipped": 1,
        "notes": [
            f"{mixed}:2: branches.0.targets.0: span [0.5, 3] clipped to the video's end at 2.00 s"
        ],
        "quarantined": [
            {
                "path": str(mixed),
                "line": 4,
                "reason": "the line is empty; expected a JSON record, or remove the line",
                "field": "",
            },
            {
                "path": str(mixed),
                "line": 5,
                "reason": f"{mixed.parent / 'absent.mp4'} does not exist; check the path",
                "field": "media.path",
            },
        ],
        "quarantined_share": 0.4,
        "limit": 0.5,
    }
    assert found.good == [(0, 0), (0, 1), (0, 2)]
    assert found.spread(2) == [(0, 0), (0, 2)]
    assert not found.too_many_bad


def test_record_files_of_a_folder(tmp_path: Path, write_records: WriteRecords, good: Raw) -> None:
    with pytest.raises(InputError, match=r"holds no \*\.jsonl file"):
        record_files(tmp_path)
    with pytest.raises(InputError, match="does not exist; expected a JSONL file or a folder"):
        record_files(tmp_path / "absent")
    second = write_records(good, name="b.jsonl")
    first = write_records(good, name="a.jsonl")
    assert record_files(tmp_path) == [first, second]
    assert record_files(second) == [second]


def test_command_prints_counts_and_reasons(
    tpo: Callable[..., int], mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tpo("inspect", mixed.parent, "--limit", 0.4) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "targets: temporal 2" in lines
    assert "chat, no target 1" in lines
    assert "video length 2 to 2 s, median 2 s" in lines
    assert "width x height: 48 x 32 3" in lines
    assert "quarantined 2 (40.0%)" in lines
    reason = "the line is empty; expected a JSON record, or remove the line"
    assert f"{mixed}:4: {reason}" in lines


def test_command_fails_above_the_limit(
    tpo: Callable[..., int], mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tpo("inspect", mixed, "--json") == 1
    out = capsys.readouterr().out
    assert [row["line"] for row in json.loads(out)["quarantined"]] == [4, 5]
    assert tpo("inspect", mixed) == 1
    assert "more than the 1.0% allowed cannot be used" in capsys.readouterr().err


def test_command_draws_a_sheet(tpo: Callable[..., int], mixed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "out" / "sheet.png"
    assert tpo("inspect", mixed, "--limit", 1, "--out", sheet, "--samples", 2) == 0
    assert open_media(sheet, num_frames=1).size[1] == 1600


def test_command_says_what_is_wrong_in_one_line(
    tpo: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tpo("inspect", tmp_path / "absent") == 1
    error = capsys.readouterr().err
    assert error.startswith("tpo: ")
    assert "does not exist" in error
    assert len(error.splitlines()) == 1
    assert tpo("inspect") == 2
    assert tpo("inspect", tmp_path, "--limit", 3) == 2


def test_samples_of_an_alternating_dataset_are_of_both_kinds():
    good = [(0, index) for index in range(96)]
    found = Inspection(quarantine=Quarantine(limit=0.0), good=good)
    drawn = [index for _, index in found.spread(12)]
    assert [index // 8 for index in drawn] == list(range(12))
    assert {index % 2 for index in drawn} == {0, 1}
