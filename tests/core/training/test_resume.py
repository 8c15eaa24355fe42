"""A run killed in mid-stage resumes exactly; a full disk leaves the last checkpoint whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.training.test_accounting import assert_same_losses, read_log
from tpo_core.errors import CheckpointError, InputError
from tpo_core.model import TpoModel
from tpo_core.training import trainer as trainer_module
from tpo_core.training.recipe import Recipe
from tpo_core.training.run import train

STAGES = [
    {"name": "first", "steps": 2},
    {"name": "second", "steps": 6, "save_steps": 2},
]

RUN = """
import sys, time, torch
from tpo_core.build import attach
from tpo_core.training.log import Silent
from tpo_core.training.recipe import Recipe
from tpo_core.training.run import train

class Slow(Silent):
    def step(self, step, entry):
        if entry and entry["stage"] == "second" and step >= 3:
            time.sleep(60)  # long enough to be killed here, after the checkpoint of step 2

torch.set_num_threads(1)
recipe = Recipe.model_validate_json(open(sys.argv[1]).read())
torch.manual_seed(0)
model = attach(recipe.backbone, ("region", "temporal"), device="cpu")
train(recipe, output=sys.argv[2], model=model, progress=Slow())
"""


def test_kill_in_mid_stage_then_resume(
    make_model: Callable[..., TpoModel], make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(stages=STAGES)
    whole = train(recipe, output=tmp_path / "whole", model=make_model())
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "recipe.json"), str(killed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )
    log = killed / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (
        log.exists() and any(e["stage"] == "second" and e["step"] == 3 for e in read_log(log))
    ):
        assert process.poll() is None, process.stderr and process.stderr.read().decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "model").exists()
    # Another initialisation on purpose: resuming must overwrite it.
    resumed = train(recipe, output=killed, resume=True, model=make_model(seed=9))
    assert_same_losses(read_log(whole.log), read_log(resumed.log), tolerance=1e-6)
    for (name, one), (_, two) in zip(
        whole.model.named_parameters(), resumed.model.named_parameters(), strict=True
    ):
        assert one.equal(two), name


def test_resume_refuses_another_recipe_and_an_empty_folder(
    make_model: Callable[..., TpoModel], make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    model = make_model()
    with pytest.raises(CheckpointError, match="holds no run to resume"):
        train(make_recipe(steps=1), output=tmp_path / "none", resume=True, model=model)
    train(make_recipe(steps=1), output=tmp_path / "run", model=model)
    with pytest.raises(InputError, match=r"another recipe \(seed differ\)"):
        train(make_recipe(steps=1, seed=1), output=tmp_path / "run", resume=True, model=model)
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        train(make_recipe(steps=1), output=tmp_path / "run", model=model)


def test_a_run_without_a_model_leaves_no_run_behind(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(steps=1).model_copy(update={"backbone": str(tmp_path / "nowhere")})
    for _ in range(2):  # the second must not hear that the folder holds a run
        with pytest.raises(InputError, match="nowhere"):
            train(recipe, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": [{"path": "nowhere.jsonl"}]}, "nowhere.jsonl"),
        ({"train": {"regoin": 1e-3}}, "did you mean 'region'"),
        ({"loss_weights": {"regoin": 1.0}}, "did you mean 'region'"),
        ({"batch": 6}, "batch 6 is no multiple of micro_batch 4"),
    ],
)
def test_what_a_later_stage_cannot_do_is_said_before_the_first_begins(
    make_recipe: Callable[..., Recipe],
    make_model: Callable[..., TpoModel],
    tmp_path: Path,
    change: dict[str, Any],
    message: str,
) -> None:
    model = make_model()
    recipe = make_recipe(stages=[{"name": "one"}, {"name": "two", **change}])
    for _ in range(2):  # the second must not hear that the folder holds a run
        with pytest.raises(InputError, match=message):
            train(recipe, output=tmp_path / "run", model=model)


def test_a_full_disk_leaves_the_checkpoint_before_whole(
    make_model: Callable[..., TpoModel],
    make_recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = make_recipe(steps=4, save_steps=2)
    original, calls = trainer_module.save_state, []

    def save(state, path):  # type: ignore[no-untyped-def]
        calls.append(path)
        if len(calls) == 2:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half")
            raise CheckpointError(f"cannot write {path}: No space left on device")
        original(state, path)

    monkeypatch.setattr(trainer_module, "save_state", save)
    with pytest.raises(CheckpointError, match="checkpoint-2 stays whole; free space"):
        train(recipe, output=tmp_path, model=make_model())
    stage = tmp_path / "stages" / "1_only"
    assert [path.name for path in stage.iterdir()] == ["checkpoint-2"]
    monkeypatch.undo()
    resumed = train(recipe, output=tmp_path, resume=True, model=make_model(seed=5))
    whole = train(recipe, output=tmp_path / "whole", model=make_model())
    assert_same_losses(read_log(whole.log), read_log(resumed.log), tolerance=1e-6)
