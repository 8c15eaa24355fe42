"""What a stage trains, on what, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tpo_core.errors import InputError, UnknownName
from tpo_core.model import TpoModel
from tpo_core.records.dataset import Sample
from tpo_core.training.data import StageData
from tpo_core.training.groups import GradientProof, parameter_groups, select, table
from tpo_core.training.recipe import Recipe
from tpo_core.training.run import arguments
from tpo_core.training.terms import term_weights, touched


@pytest.fixture(scope="module")
def model(make_model: Callable[..., TpoModel]) -> TpoModel:
    return make_model()


def test_groups_hold_every_parameter_once(model: TpoModel) -> None:
    groups = parameter_groups(model)
    named = [name for group in groups.values() for name in group]
    assert sorted(named) == sorted(set(named))
    everything = {name for name, _ in model.named_parameters()}
    # PEFT keeps a copy of the wrapped embedding that is never trained beside its delta.
    assert everything - set(named) == set()


def test_select_freezes_all_else(model: TpoModel) -> None:
    trained = select(model, {"lora": 1e-4, "region": 1e-3})
    flags = {name for name, p in model.named_parameters() if p.requires_grad}
    assert flags == {name for group in trained for name in group.parameters}
    rows = table(trained)
    assert [row[0] for row in rows] == ["lora", "region"]
    assert all(row[2] > 0 for row in rows)
    with pytest.raises(UnknownName, match="did you mean 'region'"):
        select(model, {"regoin": 1e-3})
    with pytest.raises(InputError, match="expected a positive number"):
        select(model, {"lora": 0.0})


def test_a_group_without_gradient_is_an_error(model: TpoModel) -> None:
    groups = select(model, {"lora": 1e-4, "region": 1e-3})
    proof = GradientProof(groups, patience=2)
    model.zero_grad()
    first = next(iter(groups[0].parameters.values()))
    first.grad = torch.ones_like(first)
    assert proof.look() == ["lora"]
    with pytest.raises(InputError, match="no gradient reached region in 2 steps"):
        proof.look()
    model.zero_grad()


def test_data_is_the_same_every_time_and_filtered_by_task(
    model: TpoModel, make_recipe: Callable[..., Recipe], world: Path
) -> None:
    recipe = make_recipe(
        data=[{"path": str(world / "train.jsonl"), "tasks": ["temporal"]}], branches=1
    )
    one, two = (StageData(recipe, 0, model, length=8) for _ in range(2))
    for i in range(8):
        left, right = one[i], two[i]
        assert isinstance(left, Sample)
        assert isinstance(right, Sample)
        assert left.record == right.record
        assert len(left.record.branches) == 1
        assert [target.task for target in left.targets[0]] == ["temporal"]
    other = StageData(
        make_recipe(seed=1, data=[{"path": str(world / "train.jsonl")}], branches=1),
        0,
        model,
        length=8,
    )
    assert any(one[i].record.id != other[i].record.id for i in range(8))
    with pytest.raises(InputError, match="no record with the tasks asked for"):
        StageData(
            make_recipe(data=[{"path": str(world / "train.jsonl"), "tasks": ["point"]}]), 0, model
        )


def test_batches_that_cannot_be_split_are_refused(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(batch=6, micro_batch=4)
    with pytest.raises(InputError, match="batch 6 is no multiple of micro_batch 4 times 1 devices"):
        arguments(recipe, recipe.stages[0], tmp_path, 3)
    recipe = make_recipe(batch=6, micro_batch=2)
    assert arguments(recipe, recipe.stages[0], tmp_path, 3).gradient_accumulation_steps == 3
    wrong = recipe.model_copy(update={"trainer": {"fsdq": True}})
    with pytest.raises(InputError, match="fsdq"):
        arguments(wrong, recipe.stages[0], tmp_path, 3)


def test_weights_multiply_by_task_or_term(model: TpoModel) -> None:
    base = model.loss_weights()
    weights = term_weights(model, {"region": 0.5, "temporal/saliency": 0.0})
    assert weights["region/l1"] == 0.5 * base["region/l1"]
    assert weights["temporal/saliency"] == 0.0
    assert weights["lm"] == 1.0
    with pytest.raises(UnknownName):
        term_weights(model, {"regionn": 1.0})


def test_what_must_be_touched() -> None:
    present = ["lm", "media", "region/l1", "region/giou"]
    assert touched(present, everything=False) == ("region",)
    assert touched(present, everything=True) == ("region", "lm", "media")
