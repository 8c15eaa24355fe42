"""`tpo eval`: what it prints and what it refuses."""

from __future__ import annotations

import json

import pytest

from tpo_core import cli
from tpo_core.cli.eval import print_result
from tpo_core.evaluation import EvaluationResult


def arguments(tmp_path, benchmark="tiny_world", model="nowhere/at/all", data=None):
    return ["eval", benchmark, "--model", model, "--data", str(data or tmp_path)]


def test_an_unknown_benchmark_gets_a_suggestion(tmp_path, capsys):
    assert cli.main(arguments(tmp_path, benchmark="tiny_word")) == 1
    assert "did you mean 'tiny_world'?" in capsys.readouterr().err


def test_a_model_that_does_not_exist_is_one_sentence(tmp_path, capsys):
    assert cli.main(arguments(tmp_path)) == 1
    error = capsys.readouterr().err
    assert error.startswith("tpo: ")
    assert "nowhere/at/all" in error
    assert "unexpected" not in error


def test_an_output_that_cannot_be_written_is_refused_before_the_model_loads(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "deep")
    assert cli.main([*arguments(tmp_path), "--out", out]) == 1
    assert capsys.readouterr().err.startswith(f"tpo: cannot write to {out}: ")


@pytest.mark.parametrize("words", [["eval"], ["eval", "tiny_world", "--limit", "0"]])
def test_bad_usage_exits_with_2(words):
    assert cli.main(words) == 2


def test_figures_counts_and_notes_are_printed(capsys):
    result = EvaluationResult(
        benchmark="tiny_world",
        metrics={"qa_accuracy": 0.25, "mask_j&f": None},
        counts={"media": 3, "missing": 1},
        details={"all": {"qa_accuracy": {"mean": 0.25, "count": 4}}},
        notes=("the model has no head for mask",),
        protocol={},
        model={},
        versions={},
        seconds=1.0,
    )
    print_result(result)
    text = capsys.readouterr().out
    assert "0.250" in text
    assert "3 media, 1 missing" in text
    assert "note: the model has no head for mask" in text
    json.dumps(result.to_json())
