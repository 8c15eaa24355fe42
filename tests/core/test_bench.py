"""`tpo bench` times what it says, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpo_core.bench import bench
from tpo_core.cli import main
from tpo_core.errors import InputError


def test_rows_name_every_task(
    make_model: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_model().save_pretrained(str(tmp_path / "model"))
    words = ["bench", str(tmp_path / "model"), "--frames", "2", "--size", "56", "--tokens", "2"]
    assert main([*words, "--questions", "2", "--runs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["what"] for row in rows] == [
        "chat answer, up to 2 tokens",
        "2 chat answers on one video",
        "answer by region",
        "answer by temporal",
    ]
    assert all(0 < row["best"] <= row["median"] <= row["worst"] for row in rows)


def test_numbers_must_be_positive(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="runs is 0; expected at least 1"):
        bench(make_model(), runs=0)
