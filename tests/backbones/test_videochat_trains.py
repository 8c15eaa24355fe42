"""The shipped recipe trains a tiny VideoChat-TPO on the tiny world, at the paper's own rates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import set_seed

from tests.backbones.tiny import videochat as tiny
from tpo_core.build import attach, from_pretrained
from tpo_core.model import TpoModel
from tpo_core.training import train
from tpo_core.training.data import StageData
from tpo_core.training.recipe import Recipe, load_recipe
from tpo_core.training.run import TrainResult
from tpo_core.training.state import load_state, training_state
from tpo_plugins.features.extract import extract, video_files
from tpo_plugins.features.extractors import BackboneExtractor
from tpo_plugins.world import generate_world

CPU = torch.device("cpu")
FRAMES = 4
STEPS = (10, 25, 15, 15, 6, 6)
TEMPORAL, MASK, REGION = 1, 2, 3
"""Stages that tune one task."""
TASKS = {TEMPORAL: "temporal", MASK: "mask", REGION: "region"}
SMALL = {
    "hidden_dim": 32, "nheads": 4, "dim_feedforward": 64, "enc_layers": 1, "dec_layers": 2,
    "t2v_layers": 1, "dummy_layers": 1, "num_queries": 4, "num_dummies": 3, "total_prompts": 4,
}  # fmt: skip
State = dict[str, Tensor]


class Run(NamedTuple):
    """A finished run, and the state that each stage left."""

    recipe: Recipe
    result: TrainResult
    finals: list[Path]

    def state(self, stage: int) -> State:
        return load_file(self.finals[stage])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world, the record files that the recipe names, a backbone and features of the videos."""
    folder = tmp_path_factory.mktemp("videochat_tpo")
    generate_world(folder, seed=0, sizes={"train": 8})
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    names = {"temporal": "temporal", "spatial": "region", "segmentation": "mask"}
    files = {f"stage{n}_{name}": task for n in (1, 2, 3) for name, task in names.items()}
    for name, task in {**files, "stage3_reasoning": "temporal", "conversation": None}.items():
        text = "".join(json.dumps(record) + "\n" for record in only(records, task))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    tiny.build(folder / "videochat")
    own = BackboneExtractor(CPU, model=str(folder / "videochat"), num_frames=FRAMES)
    assert not extract(video_files(folder / "train"), folder / "features", own).failed
    return folder


def only(records: list[dict[str, Any]], task: str | None) -> Iterator[dict[str, Any]]:
    """Keep the conversations of a task, or those without any."""
    for record in records:
        kept = [
            branch
            for branch in record["branches"]
            if [target["task"] for target in branch.get("targets", ())] == ([task] if task else [])
        ]
        if kept:
            yield {**record, "branches": kept}


def small(root: Path, features: Any) -> Recipe:
    """Return the shipped recipe with other steps, sizes and places, and nothing else changed."""
    changes: dict[str, Any] = {
        "data.root": str(root),
        "heads.temporal_cgdetr.features": features,
        "heads.temporal_cgdetr.model": SMALL,
        "heads.mask.sam2": "package:tpo_plugins/tiny/sam2",
        "num_frames": FRAMES,
        "workers": 0,
    }
    for number, steps in enumerate(STEPS):
        sizes = {"steps": steps, "epochs": None, "batch": 8, "micro_batch": 8}
        sizes["branches"] = 4
        changes |= {f"stages.{number}.{key}": value for key, value in sizes.items()}
    return load_recipe("videochat_tpo", changes)


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    recipe = small(root, "backbone")
    result = train(recipe, output=root / "run")
    stages = [f"{number}_{stage.name}" for number, stage in enumerate(recipe.stages, start=1)]
    return Run(recipe, result, [result.output / "stages" / n / "final.safetensors" for n in stages])


def fresh(recipe: Recipe) -> TpoModel:
    """Build the model that a run begins with."""
    set_seed(recipe.seed)
    assert recipe.lora is not None
    model = attach(recipe.backbone, recipe.heads, lora=recipe.lora.settings(), device="cpu")
    model.num_frames = recipe.num_frames
    return model


@torch.no_grad()
def losses(model: TpoModel, recipe: Recipe) -> dict[str, float]:
    """Return each head's weighted loss, and the language loss, over the data of stage 2."""
    found: dict[str, float] = {}
    weights = model.loss_weights()
    model.eval()
    for number, task in TASKS.items():
        if number >= len(recipe.stages):
            continue
        data = StageData(recipe, number, model)
        batch = model.collator()([data[index] for index in range(len(data))])
        sums = model(batch)
        assert not batch.bad
        for name, total in sums.items():
            key = "lm" if name == "lm" else task
            value = weights[name] * float(total) / batch.counts[name]
            found[key] = found.get(key, 0.0) + value
    return found


def test_the_losses_of_each_head_fall(run: Run) -> None:
    model = fresh(run.recipe)
    before = losses(model, run.recipe)
    assert before.keys() == {"lm", "temporal", "mask", "region"}
    by_stage = []
    for path in run.finals:
        load_state(model, path)
        by_stage.append(losses(model, run.recipe))
    assert by_stage[0]["lm"] < before["lm"], "task assignment teaches the answers' words"
    assert by_stage[REGION]["lm"] < 0.985 * by_stage[0]["lm"]
    for stage, task in TASKS.items():
        assert by_stage[stage][task] < 0.97 * by_stage[stage - 1][task]
        assert by_stage[-1][task] < 0.96 * before[task]


def test_a_stage_changes_what_it_trains_and_hands_on_the_rest(run: Run) -> None:
    """Bit by bit: what a stage does not name is after it what it was before."""
    start = {name: value.clone() for name, value in training_state(fresh(run.recipe)).items()}
    states = [start, *(run.state(number) for number in range(len(STEPS)))]
    visual = ("backbone.model.vision", "backbone.model.qformer", "backbone.model.project_up")
    for stage, before, after in zip(run.recipe.stages, states, states[1:], strict=False):
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        groups = {group_of(name) for name in changed}
        assert groups == set(stage.train) - {"vision", "connector"}, stage.name
        assert any(name.startswith(visual) for name in after) == ("vision" in stage.train)
        if stage.name == "mask_tuning":  # boxes of questions are embedded, none is asked for
            heads = {name for name in changed if name.startswith("heads.region.")}
            assert heads
            assert all(name.startswith("heads.region.loc_encoder.") for name in heads)
    early, late = (run.state(number) for number in (4, 5))
    for part in visual:
        named = [name for name in early if name.startswith(part)]
        assert any(not torch.equal(early[name], late[name]) for name in named)


def group_of(name: str) -> str:
    """Return the group of one of a state's names, of those that are there from the start."""
    if name.startswith("heads."):
        return name.split(".")[1]
    return "lora" if "lora_" in name else "tokens"


def test_sam2_stays_as_it_is(run: Run) -> None:
    trained, released = (
        model.heads["mask"].sam2 for model in (run.result.model, fresh(run.recipe))
    )
    expected = released.state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in trained.state_dict().items())


def test_the_next_stage_begins_where_the_last_one_ended(run: Run, tmp_path: Path) -> None:
    """Its last stage repeated from what the stage before left, a run ends bit by bit the same."""
    again = tmp_path / "run"
    shutil.copytree(run.result.output, again)
    shutil.rmtree(again / "stages" / run.finals[-1].parent.name)
    result = train(run.recipe, output=again, resume=True)
    assert_equal(training_state(result.model), run.state(-1))


def test_features_from_files_train_the_same_head(run: Run, root: Path) -> None:
    """While vision is frozen they are what the backbone computes, and so are all weights."""
    clips = {"videos": str(root / "features" / "clip"), "width": tiny.HIDDEN}
    recipe = small(root, {"files": clips})
    recipe = recipe.model_copy(update={"stages": recipe.stages[: TEMPORAL + 1]})
    result = train(recipe, output=root / "run_files")
    assert_equal(training_state(result.model), run.state(TEMPORAL))
    loaded = from_pretrained(str(result.model_folder), device="cpu")
    assert losses(loaded, recipe)["temporal"] == losses(result.model, recipe)["temporal"]


def test_a_saved_model_is_the_trained_one(run: Run, root: Path) -> None:
    loaded = from_pretrained(str(run.result.model_folder), device="cpu")
    assert_equal(training_state(loaded), run.state(-1))
    clip = next(iter(video_files(root / "train")))
    for task, question in (
        ("temporal", "When does it move?"), ("mask", "Follow it."), ("region", "Where is it?"),
    ):  # fmt: skip
        answers = [
            model.predict(clip, question, task=task, max_new_tokens=4).to_json()
            for model in (run.result.model, loaded)
        ]
        assert answers[0] == answers[1]
        assert answers[0]["results"][0]["task"] == task
    assert losses(loaded, run.recipe) == losses(run.result.model, run.recipe)


def assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
