"""`tpo eval`: what it prints and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.core.evaluation.stand_ins import Repeat, case
from tpo_core import cli, registry
from tpo_core.cli.figures import print_result
from tpo_core.evaluation import EvaluationResult, Published, evaluate


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


MODEL, ROWS = ["--model", "m"], ["--predictions", "p"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "0", *MODEL], "--limit"),
        (["--batch-size", "0", *MODEL], "--batch-size"),
        ([], "--model or --predictions"),
        ([*MODEL, *ROWS], "--model or --predictions"),
        ([*MODEL, "--resume"], "--resume and --overwrite are about"),
        ([*MODEL, "--out", "o", "--resume", "--overwrite"], "give one"),
        ([*ROWS, "--out", "o", "--resume"], "go with --model"),
        ([*ROWS, "--batch-size", "2"], "go with --model"),
    ],
)
def test_bad_usage_exits_with_2(options, message, capsys, tmp_path):
    assert cli.main(["eval", "tiny_world", "--data", str(tmp_path), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_benchmark_and_data_must_be_given():
    assert cli.main(["eval"]) == 2
    assert cli.main(["eval", "tiny_world", *MODEL]) == 2


class Sent(Repeat):
    """Has all that a benchmark may have."""

    def __init__(self, *, strict=False):
        super().__init__([case(name, "one", "two wrong") for name in "abc"], strict=strict)

    def export(self, predictions, data, output):
        output.write_text(json.dumps([one.predicted for one in predictions]))

    def published(self):
        return [
            Published(model="First", metrics={"accuracy": 0.25}, source="arXiv 1234.56789"),
            Published(model="Second", metrics={}, source="a blog", note="other frames"),
        ]


@pytest.fixture
def sent(monkeypatch, tmp_path):
    """Give a benchmark for the registered name, and return what evaluates a file on it."""
    monkeypatch.setattr(registry, "load_benchmark", lambda name: Sent)
    rows = [{"id": f"{n}/{text}", "text": text} for n in "abc" for text in ("one", "two wrong")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
    words = ["eval", "tiny_world", "--predictions", str(path), "--data", str(tmp_path)]
    return lambda *options: cli.main([*words, *options])


def test_a_file_is_scored_written_and_exported(sent, tmp_path, capsys):
    out, export = tmp_path / "out", tmp_path / "deep" / "sent.json"
    assert sent("--out", str(out), "--export", str(export), "--strict", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "results.json").read_text())
    assert printed["metrics"] == {"accuracy": pytest.approx(2 / 6, abs=1e-6), "other": None}
    assert printed["counts"]["missing"] == 1
    assert printed["protocol"] == {"rule": "repeat", "strict": True}
    assert printed["limit"] is None
    assert printed["data"] == str(tmp_path)
    exported = json.loads(export.read_text())
    assert exported[:2] == [None, {"text": "two wrong"}]
    capsys.readouterr()
    assert sent("--export", str(export)) == 1
    assert "exists already; name another file for --export" in capsys.readouterr().err
    assert json.loads(export.read_text()) == exported


def test_options_of_a_benchmark_are_set(sent, capsys):
    assert sent("--set", "strict=true", "--json") == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == {"rule": "repeat", "strict": True}


def test_a_folder_that_holds_a_result_is_refused_or_replaced(sent, tmp_path, capsys):
    assert sent("--out", str(tmp_path / "out")) == 0
    assert sent("--out", str(tmp_path / "out")) == 1
    assert "holds a finished evaluation" in capsys.readouterr().err
    assert sent("--out", str(tmp_path / "out"), "--overwrite") == 0


def test_figures_stand_beside_published_ones(sent, capsys):
    assert sent("--limit", "2") == 0
    text = capsys.readouterr().out
    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    assert "0.250" in lines["this result"]
    assert "0.250" in lines["First"]
    assert "arXiv 1234.56789" in lines["First"]
    assert "-" in lines["Second"]
    assert "(other frames)" in lines["Second"]
    assert "first 2 media" in text


def test_a_bad_file_of_predictions_is_one_sentence(sent, tmp_path, capsys):
    (tmp_path / "rows.jsonl").write_text('{"id": "x", "text": 1}\n')
    assert sent() == 1
    error = capsys.readouterr().err
    assert error.startswith("tpo: ")
    assert "row 1: 'x' is no known id" in error


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--export", "x.json"], "benchmark tiny_world has no submission layout"),
        (["--strict"], "benchmark tiny_world has no strict variant"),
        (["--set", "splits=val"], "tiny_world has no option 'splits'; it has split"),
        (["--set", "split=dev"], "option split of benchmark tiny_world is 'dev': Input should be"),
        (["--set", "split"], "--set 'split': expected KEY=VALUE, such as num_frames=64"),
    ],
)
def test_what_a_benchmark_has_not_is_refused_before_the_model_loads(
    tmp_path, capsys, option, message
):
    assert cli.main([*arguments(tmp_path), *option]) == 1
    assert message in capsys.readouterr().err


def test_two_launched_processes_print_and_write_one_result(world, tmp_path):
    import tpo_core as tpo

    torch.manual_seed(0)
    model = tpo.attach("tiny", ["region"], device="cpu")
    model.save_pretrained(str(tmp_path / "model"))
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "tpo_core.cli", "eval", "tiny_world", "--model", str(tmp_path / "model"),
         "--data", str(world), "--limit", "3", "--out", str(out), "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=Path(__file__).parents[3],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    printed = json.loads(done.stdout)
    alone = evaluate("tiny_world", model, data=world, limit=3, progress=False)
    assert {**printed, "seconds": 0} == {**alone.to_json(), "seconds": 0}
    found = EvaluationResult.read(out)
    assert found.predictions == alone.predictions
    assert sorted(path.name for path in out.iterdir()) == ["predictions.jsonl", "results.json"]


def test_figures_counts_and_notes_are_printed(capsys):
    result = EvaluationResult(
        benchmark="tiny_world",
        metrics={"qa_accuracy": 0.25, "mask_j&f": None},
        intervals={"qa_accuracy": (0.125, 0.5), "mask_j&f": None},
        counts={"media": 3, "missing": 1},
        details={"all": {"qa_accuracy": {"mean": 0.25, "count": 4}}},
        notes=("the model has no head for mask", "expected a list of [start, end]"),
        protocol={},
        model={},
        versions={},
        seconds=1.0,
    )
    print_result(result)
    text = capsys.readouterr().out
    assert "0.250" in text
    assert "0.125 to 0.500" in text
    assert "3 media, 1 missing" in text
    assert "note: the model has no head for mask" in text
    assert "note: expected a list of [start, end]" in text
    json.dumps(result.to_json())
