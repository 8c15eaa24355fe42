"""Two real gloo processes share an evaluation and come to a single one's result."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.evaluation import run_repeat
from tests.core.evaluation.stand_ins import Echo
from tpo_core.evaluation import EvaluationResult, evaluate

ROOT = Path(__file__).parents[3]
MEDIA = 7
FAILS = "one 3 x"


def single(folder, media=MEDIA, **options):
    bench = run_repeat.benchmark(media)
    result = evaluate(bench, Echo(), data=folder, progress=False, batch_size=1, **options)
    return replace(result, seconds=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes made of several evaluations, one after the other."""
    folder = tmp_path_factory.mktemp("pair")
    jobs = [
        {"name": "whole", "media": MEDIA},
        {"name": "alone", "media": 1},
        {"name": "going_on", "media": MEDIA},
        {"name": "refused", "media": MEDIA},
        {"name": "unwritten", "media": MEDIA, "output": None},
        {"name": "fails", "media": MEDIA, "fail_at": FAILS},
        {"name": "killed", "media": MEDIA, "kill_at": FAILS},
    ]
    jobs = [{"output": str(folder / job["name"]), **job} for job in jobs]
    cut_off(folder, "going_on", kept=4)
    single(folder, media=2, output=folder / "refused", limit=2)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, run_repeat.__file__, json.dumps(jobs), str(folder)],
            env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
                 "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port,
                 "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        codes = [process.wait(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, -signal.SIGKILL]
    return folder


def cut_off(folder, name, *, kept):
    """Leave a folder as a single process that was cut off leaves it."""
    output = folder / name
    single(folder, output=output)
    results = json.loads((output / "results.json").read_text())
    names = ("benchmark", "protocol", "model", "data", "limit", "versions")
    (output / "run.json").write_text(json.dumps({name: results[name] for name in names}))
    (output / "results.json").unlink()
    lines = (output / "predictions.jsonl").read_text().splitlines(keepends=True)
    (output / "predictions.jsonl").write_text("".join(lines[:kept]))


def asked(folder, name):
    return sorted(
        line.split(" ", 1) for line in (folder / f"{name}.asked").read_text().splitlines()
    )


def read(folder, name):
    return replace(EvaluationResult.read(folder / name), seconds=0)


def outcome(folder, name, rank):
    return (folder / f"{name}.{rank}").read_text()


def test_the_result_is_a_single_processes(folder):
    assert read(folder, "whole") == single(folder)
    files = sorted(path.name for path in (folder / "whole").iterdir())
    assert files == ["predictions.jsonl", "results.json"]


def test_media_go_round_and_each_is_asked_once(folder):
    texts = [item.text for one in run_repeat.benchmark(MEDIA).listed[1:] for item in one.items]
    found = asked(folder, "whole")
    assert sorted(text for _, text in found) == sorted(texts)
    assert {text.split()[1] for rank, text in found if rank == "1"} == {"1", "3", "5"}


def test_every_process_gets_the_figures_and_the_main_one_predictions(folder):
    for name in ("whole", "unwritten"):
        main, other = (json.loads(outcome(folder, name, rank)) for rank in (0, 1))
        assert main["metrics"] == other["metrics"] == dict(single(folder).metrics)
        assert (main["predictions"], other["predictions"]) == (10, 0)


def test_a_process_without_media_keeps_no_one_waiting(folder):
    assert {rank for rank, _ in asked(folder, "alone")} == {"0"}
    assert read(folder, "alone") == single(folder, media=1)


def test_two_processes_go_on_where_one_was_cut_off(folder):
    assert len(asked(folder, "going_on")) == 6
    assert {rank for rank, _ in asked(folder, "going_on")} == {"0", "1"}
    assert read(folder, "going_on") == single(folder)


def test_a_folder_that_is_refused_is_refused_to_all(folder):
    for rank in (0, 1):
        assert "holds another evaluation: limit was 2, is null" in outcome(folder, "refused", rank)
    assert not (folder / "refused.asked").exists()


@pytest.mark.parametrize("name", ["fails", "killed"])
def test_the_main_process_does_not_wait_for_one_that_broke(folder, name):
    assert outcome(folder, name, 0).startswith(
        "TpoError: another process that shares this evaluation has ended"
    )


@pytest.mark.parametrize("name", ["fails", "killed"])
def test_one_process_goes_on_where_two_broke(folder, name):
    bench, model = run_repeat.benchmark(MEDIA), Echo()
    result = evaluate(
        bench, model, data=folder, output=folder / name, resume=True, progress=False, batch_size=1
    )
    assert sorted(model.batches) == [["one 3 x", "two 3 x"], ["one 5 silent", "two 5 silent"]]
    assert replace(result, seconds=0) == single(folder)
    files = sorted(path.name for path in (folder / name).iterdir())
    assert files == ["predictions.jsonl", "results.json"]
