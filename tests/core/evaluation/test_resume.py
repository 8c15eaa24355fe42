"""A run that is cut off goes on where it was, and only the same run does."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.evaluation import run_repeat
from tests.core.evaluation.stand_ins import Echo, Repeat, case
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult, evaluate

CASES = [case(name, "one", "two wrong") for name in "abcde"]


def answered(output):
    return [json.loads(x)["id"] for x in (output / "predictions.jsonl").read_text().splitlines()]


class Break(Exception):
    """What a user's Ctrl-C would be."""


class Breaking(Echo):
    """Breaks in place of its third answer."""

    def predict_batch(self, questions, **decoding):
        if len(self.batches) == 2:
            raise Break
        return super().predict_batch(questions, **decoding)


@pytest.fixture
def cut_off(tmp_path):
    """A folder with the answers of two cases of five."""
    output = tmp_path / "out"
    with pytest.raises(Break):
        run(tmp_path, model=Breaking())
    assert sorted(path.name for path in output.iterdir()) == ["predictions.jsonl", "run.json"]
    assert answered(output) == ["a/one", "a/two wrong", "b/one", "b/two wrong"]
    return output


def run(tmp_path, *, bench=None, model=None, **options):
    settings = {"output": tmp_path / "out", "progress": False, "batch_size": 1, **options}
    return evaluate(bench or Repeat(CASES), model or Echo(), data=tmp_path, **settings)


def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(tmp_path):
    output = tmp_path / "out"
    job = {"name": "job", "output": str(output), "media": 7, "kill_at": "one 4 wrong"}
    command = [sys.executable, run_repeat.__file__, json.dumps([job]), str(tmp_path)]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    killed = subprocess.run(command, env=environment, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = answered(output)
    assert done == ["m0/one 0 x", "m1/one 1 wrong", "m1/two 1 wrong", "m2/one 2 silent",
                    "m3/one 3 x", "m3/two 3 x"]  # fmt: skip
    with (output / "predictions.jsonl").open("a") as file:
        file.write('{"id":"m4/one 4 wr')
    bench, model = run_repeat.benchmark(7), Echo()
    resumed = evaluate(
        bench, model, data=tmp_path, output=output, resume=True, progress=False, batch_size=2
    )
    asked = [text for batch in model.batches for text in batch]
    assert asked == ["one 4 wrong", "one 5 silent", "two 5 silent", "one 6 x"]
    whole = evaluate(run_repeat.benchmark(7), Echo(), data=tmp_path, progress=False)
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)
    assert resumed.counts["quarantined"] == 1
    assert EvaluationResult.read(output) == replace(resumed, seconds=round(resumed.seconds, 2))
    assert sorted(path.name for path in output.iterdir()) == ["predictions.jsonl", "results.json"]


def test_a_case_of_which_some_questions_are_answered_is_asked_again(tmp_path, cut_off):
    lines = (cut_off / "predictions.jsonl").read_text().splitlines(keepends=True)
    (cut_off / "predictions.jsonl").write_text("".join(lines[:3]) + lines[3][:30])
    model = Echo()
    result = run(tmp_path, model=model, resume=True)
    assert model.batches[0] == ["one", "two wrong"]
    assert len(model.batches) == 4
    assert answered(cut_off) == [prediction.id for prediction in result.predictions]
    assert result.counts["questions"] == 10


def test_progress_counts_what_was_done_before(tmp_path, cut_off):
    seen = []
    run(tmp_path, resume=True, progress=lambda done, total: seen.append((done, total)))
    assert list(dict.fromkeys(seen)) == [(3, 5), (4, 5), (5, 5)]


def test_a_run_that_was_cut_off_is_not_touched_unless_asked(tmp_path, cut_off):
    with pytest.raises(InputError, match=r"holds an evaluation that was cut off; resume \(--res"):
        run(tmp_path)
    assert len(answered(cut_off)) == 4
    model = Echo()
    run(tmp_path, model=model, overwrite=True)
    assert len(model.batches) == 5


def test_a_finished_run_is_read_again_or_replaced(tmp_path):
    first = run(tmp_path)
    with pytest.raises(InputError, match=r"holds a finished evaluation; resume \(--resume\)"):
        run(tmp_path)
    model = Echo()
    again = run(tmp_path, model=model, resume=True)
    assert model.batches == []
    assert again == replace(first, seconds=round(first.seconds, 2))
    run(tmp_path, model=model, overwrite=True)
    assert len(model.batches) == 5


def test_resume_begins_where_there_is_nothing(tmp_path):
    assert run(tmp_path, resume=True).counts["questions"] == 10


class Other(Repeat):
    name = "other"


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bench": Other(CASES)}, 'benchmark was "repeat", is "other"'),
        ({"bench": Repeat(CASES, split="val")}, "protocol was"),
        ({"weight": 2.0}, "model was"),
        ({"limit": 3}, "limit was null, is 3"),
        ({"data": "world"}, "data was"),
    ],
)
def test_another_run_is_refused(tmp_path, cut_off, changed, message, finished):
    if finished:
        run(tmp_path, resume=True)
    (tmp_path / "world").mkdir()
    before = (cut_off / "predictions.jsonl").read_bytes()
    options = {"bench": Repeat(CASES), "weight": 1.0, "data": tmp_path, **changed}
    options["data"] = tmp_path / options["data"]
    bench, model = options.pop("bench"), Echo(weight=options.pop("weight"))
    with pytest.raises(InputError, match=f"holds another evaluation: {message}"):
        evaluate(bench, model, output=cut_off, resume=True, progress=False, **options)
    assert model.batches == []
    assert (cut_off / "predictions.jsonl").read_bytes() == before
    evaluate(bench, model, output=cut_off, overwrite=True, progress=False, **options)
    assert model.batches


def test_predictions_of_who_knows_what_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.jsonl").write_text("{}\n")
    for resume in (False, True):
        with pytest.raises(InputError, match=r"holds predictions\.jsonl but not what it is of"):
            run(tmp_path, resume=resume)
    run(tmp_path, overwrite=True)


def test_files_of_others_in_the_folder_stay(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run(tmp_path)
    run(tmp_path, overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_broken_line_is_named(tmp_path, cut_off):
    lines = (cut_off / "predictions.jsonl").read_text().splitlines()
    lines[1] = lines[1][:-20]
    (cut_off / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"predictions\.jsonl:2 is no prediction .* \(--overwrite"):
        run(tmp_path, resume=True)


def test_data_that_lost_questions_are_refused(tmp_path, cut_off):
    with pytest.raises(InputError, match=r"2 questions that were answered .* first 'a/one'"):
        run(tmp_path, bench=Repeat(CASES[1:]), resume=True)


def test_a_full_disk_is_an_error_and_no_harm(tmp_path, cut_off):
    size = (cut_off / "predictions.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write to .*: File too large; give a folder"):
            run(tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    whole = evaluate(Repeat(CASES), Echo(), data=tmp_path, progress=False)
    assert replace(run(tmp_path, resume=True), seconds=0) == replace(whole, seconds=0)


def test_a_finished_run_that_lost_predictions_is_not_taken_for_whole(tmp_path):
    run(tmp_path)
    predictions = tmp_path / "out" / "predictions.jsonl"
    predictions.write_text("".join(predictions.read_text().splitlines(keepends=True)[:4]))
    with pytest.raises(InputError, match=r"jsonl holds 4 predictions, expected 10 as results"):
        run(tmp_path, resume=True)
