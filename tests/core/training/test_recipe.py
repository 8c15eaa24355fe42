"""Recipes: shipped ones load, mistakes are named with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tpo_core.errors import InputError, UnknownName
from tpo_core.training.recipe import load_recipe, parse_recipe, recipe_files

GOOD: dict[str, Any] = {
    "name": "r",
    "backbone": "tiny",
    "heads": {"region": {}},
    "data": {"root": "somewhere"},
    "stages": [
        {
            "name": "one",
            "train": {"lora": 1e-4},
            "data": [{"path": "${data.root}/train.jsonl"}],
            "steps": 3,
        }
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def stage(**changes: Any) -> dict[str, Any]:
    merged = {**GOOD["stages"][0], **changes}
    return changed(stages=[{k: v for k, v in merged.items() if v is not None}])


def test_every_shipped_recipe_loads_and_names_its_three_stages() -> None:
    files = recipe_files()
    assert {"quickstart", "llava_onevision_tpo"} <= set(files)
    for name in files:
        recipe = load_recipe(name, {"data.root": "data"})
        assert recipe.name == name
        assert len(recipe.stages) >= 3


def test_placeholders_are_filled_and_overrides_reach_any_key(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    recipe = load_recipe(path, {"data.root": "elsewhere", "stages.0.steps": 7, "seed": 3})
    assert recipe.stages[0].data[0].path == "elsewhere/train.jsonl"
    assert (recipe.stages[0].steps, recipe.seed) == (7, 3)
    with pytest.raises(InputError, match="'9' is not a key"):
        load_recipe(path, {"stages.9.steps": 7})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (changed(backbne="x"), "backbne: unknown key.*did you mean 'backbone'"),
        (stage(step=3), r"stages\.0\.step: unknown key.*did you mean 'steps'"),
        (stage(steps=None), "needs either steps or epochs"),
        (stage(epochs=2), "needs either steps or epochs"),
        (stage(steps=0), "stages.0.steps"),
        (stage(train={}), "stages.0.train"),
        (stage(data=[{"path": "a", "weight": 1}, {"path": "b"}]), "every source a weight"),
        (changed(data={"root": None}), r"data.root is not set; add --set data.root=VALUE"),
        (changed(data={"rot": "x"}), r"unknown placeholder \$\{data.root\} \(known: data.rot\)"),
        (changed(stages=GOOD["stages"] * 2), "not unique"),
        (changed(precision="fp8"), "precision"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(values)


def test_unknown_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'quickstart'"):
        load_recipe("quickstat")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(InputError, match="cannot read recipe"):
        load_recipe(broken)
    broken.write_text("- a")
    with pytest.raises(InputError, match="holds no mapping"):
        load_recipe(broken)
    broken.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match="cannot read recipe"):
        load_recipe(broken)
