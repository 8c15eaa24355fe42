"""`tpo quickstart`: the plan, the folder, and a whole small run on real files."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import tpo_core as tpo
from tpo_core import cli
from tpo_core.errors import InputError
from tpo_plugins.benchmarks.tiny_world import METRICS
from tpo_plugins.quickstart import plan as planning
from tpo_plugins.quickstart.plan import SIZES, Plan
from tpo_plugins.quickstart.run import BARS, PHASES, peak_rss_mb, quickstart
from tpo_plugins.quickstart.state import open_state


def test_without_a_budget_everything_is_done():
    plan = Plan.make()
    assert plan.sizes == SIZES
    assert plan.overrides({0: 40}, world="w") == {"seed": 0, "data.root": "w", "stages.0.steps": 40}


def test_a_short_budget_does_less_of_everything():
    plans = [Plan.make(budget=seconds) for seconds in (1, 60, 300, planning.FULL)]
    steps = [plan.overrides({0: 100}, world="w")["stages.0.steps"] for plan in plans]
    assert steps == sorted(steps)
    assert steps[-1] == 100
    assert 0 < steps[0] < steps[1] < steps[2]
    records = [plan.sizes["train"] for plan in plans]
    assert records == sorted(records)
    assert records[0] >= 48


def test_the_phases_of_a_budget_add_up_to_it():
    for budget in (120, 300, planning.FULL):
        plan = Plan.make(budget=budget)
        assert sum(map(plan.seconds_of, PHASES)) == pytest.approx(budget, rel=0.02)


def test_goals_are_figures_of_the_benchmark():
    assert set(METRICS) - set(BARS) == {"qa_accuracy"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0.0}, "budget is 0 seconds; expected a positive number"),
        ({"budget": float("nan")}, "budget is nan seconds"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Plan.make(**arguments)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds no quickstart; give a folder that is empty"):
        open_state(tmp_path, Plan.make(), resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_resuming_keeps_what_is_done(tmp_path):
    state = open_state(tmp_path, Plan.make(), resume=True)
    state.finish("world", seconds=3.21, peak_rss_mb=100.0)
    again = open_state(tmp_path, Plan.make(), resume=True)
    assert again.seconds == {"world": 3.21}
    assert (again.peak_rss_mb, again.resumed) == (100.0, 1)


def test_beginning_anew_removes_only_what_a_quickstart_wrote(tmp_path):
    state = open_state(tmp_path, Plan.make(), resume=False)
    state.finish("world", seconds=3.0, peak_rss_mb=100.0)
    for name in ("world", "model", "evaluation", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    (tmp_path / "metrics.json").write_text("{}")
    assert open_state(tmp_path, Plan.make(), resume=False).seconds == {}
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["mine", "quickstart.json", "world"]


def test_another_plan_cannot_be_resumed(tmp_path):
    open_state(tmp_path, Plan.make(seed=1), resume=False)
    with pytest.raises(InputError, match="of seed 1 and budget None, not of seed 2 and budget 60"):
        open_state(tmp_path, Plan.make(seed=2, budget=60), resume=True)


def test_a_broken_state_says_how_to_go_on(tmp_path):
    open_state(tmp_path, Plan.make(), resume=False)
    (tmp_path / "quickstart.json").write_text('{"plan"')
    with pytest.raises(InputError, match="run again without --resume to begin anew"):
        open_state(tmp_path, Plan.make(), resume=True)
    assert open_state(tmp_path, Plan.make(), resume=False).seconds == {}


def test_a_path_that_is_a_file_is_one_sentence_and_exit_1(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["quickstart", "--out", str(tmp_path / "file")]) == 1
    assert re.fullmatch(r"tpo: .*file exists and holds no quickstart.*\n", capsys.readouterr().err)


def do_little(patch):
    """Let plans hold as little as makes a whole run."""
    sizes = {"train": 8, "val": 1, "test": 2}
    patch.setattr(planning, "SIZES", sizes)
    patch.setattr(planning, "_LEAST_RECORDS", sizes)
    patch.setattr(planning, "_LEAST_STEPS", 2)
    patch.setattr(planning, "_LEAST_SCALE", 0.001)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the folder and the figures of a whole run."""
    folder = tmp_path_factory.mktemp("quickstart") / "run"
    with pytest.MonkeyPatch.context() as patch:
        do_little(patch)
        metrics = quickstart(folder, budget=1, seed=3)
    return folder, metrics


def test_a_run_leaves_a_world_a_model_figures_and_a_report(small):
    folder, metrics = small
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert tuple(metrics["before"]) == tuple(metrics["after"]) == METRICS
    assert set(metrics["phases"]) == set(PHASES)
    assert metrics["seconds"] == pytest.approx(sum(metrics["phases"].values()), abs=0.1)
    assert 100 < metrics["peak_rss_mb"] < 4096
    assert metrics["seed"] == 3
    assert "<h2>Before and after</h2>" in (folder / "report.html").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["stage"] for entry in entries][:1] == ["task_assignment"]
    assert {entry["stage"] for entry in entries} >= {"task_tuning", "multi_task"}


def test_peak_memory_does_not_count_a_program_started_as_a_copy_of_its_parent():
    before = peak_rss_mb()
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert peak_rss_mb() < before + 50


def test_the_model_of_a_run_loads_and_answers(small):
    folder, _ = small
    model = tpo.from_pretrained(str(folder / "model"))
    answer = model.predict(folder / "world/test/test_00000.png", "Where is the object?")
    assert isinstance(answer.text, str)
    again = tpo.evaluate("tiny_world", model, data=folder / "world", progress=False)
    written = json.loads((folder / "evaluation" / "after" / "results.json").read_text())
    assert dict(again.metrics) == written["metrics"]


def test_a_run_that_was_cut_short_repeats_nothing(small, monkeypatch):
    folder, metrics = small
    do_little(monkeypatch)
    file = folder / "quickstart.json"
    state = json.loads(file.read_text())
    done = state["seconds"]
    state["seconds"] = {name: done[name] for name in ("world", "before", "train")}
    file.write_text(json.dumps(state))
    log = (folder / "log.jsonl").stat().st_mtime_ns
    again = quickstart(folder, budget=1, seed=3, resume=True)
    assert (folder / "log.jsonl").stat().st_mtime_ns == log
    assert (again["before"], again["after"]) == (metrics["before"], metrics["after"])
    assert again["phases"]["train"] == done["train"]
    assert again["resumed"] == 1
