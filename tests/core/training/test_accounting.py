"""Loss terms are global means: no split of a step into micro-batches or ranks changes gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tpo_core.batch import Batch
from tpo_core.losses import add_counts, weighted_total
from tpo_core.model import TpoModel
from tpo_core.training.data import StageData
from tpo_core.training.recipe import Recipe
from tpo_core.training.run import train


def gradients(
    model: TpoModel, batches: list[Batch], weights: dict[str, float]
) -> dict[str, torch.Tensor]:
    """Accumulate the gradients of one optimizer step split into these micro-batches."""
    model.zero_grad()
    counts = add_counts(batch.counts for batch in batches)
    for batch in batches:
        weighted_total(model(batch), counts, weights).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_gradients_do_not_depend_on_the_micro_batch(
    make_model: Callable[..., TpoModel], make_recipe: Callable[..., Recipe]
) -> None:
    model = make_model().eval()
    data = StageData(make_recipe(), 0, model, length=6)
    samples = [data[i] for i in range(6)]
    collate, weights = model.collator(), model.loss_weights()
    whole = gradients(model, [collate(samples)], weights)
    assert {name.split(".")[1] for name in whole if name.startswith("heads")} == {
        "region",
        "temporal",
    }
    for cut in ([1] * 6, [4, 2], [1, 5]):
        parts, at = [], 0
        for size in cut:
            parts.append(collate(samples[at : at + size]))
            at += size
        split = gradients(model, parts, weights)
        assert split.keys() == whole.keys()
        largest = max(float(grad.abs().max()) for grad in whole.values())
        for name, grad in whole.items():
            assert float((split[name] - grad).abs().max()) <= 1e-6 * largest, name


def test_the_logged_losses_do_not_depend_on_the_micro_batch(
    make_model: Callable[..., TpoModel], make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    logs = []
    for micro in (4, 1):
        recipe = make_recipe(micro_batch=micro)
        result = train(recipe, output=tmp_path / str(micro), model=make_model())
        logs.append(read_log(result.log))
    assert len(logs[0]) == len(logs[1]) == 4
    assert_same_losses(logs[0], logs[1], tolerance=2e-4)


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same_losses(
    one: list[dict[str, Any]], two: list[dict[str, Any]], *, tolerance: float
) -> None:
    for left, right in zip(one, two, strict=True):
        assert left["step"] == right["step"]
        terms = [name for name in left if name in ("loss", "lm") or "/" in name]
        assert len(terms) >= 2
        for name in terms:
            assert left[name] == pytest.approx(right[name], abs=tolerance), (left["step"], name)
        assert left["seen"] == right["seen"]


@pytest.fixture
def lopsided(world: Path, tmp_path: Path) -> Path:
    """Records of which only every fourth has a region target, the others chat alone."""
    records = [json.loads(line) for line in (world / "train.jsonl").read_text().splitlines()]
    region = [
        r
        for r in records
        if any(t["task"] == "region" for b in r["branches"] for t in b.get("targets", []))
    ]
    lines = []
    for number in range(16):
        record = region[number % len(region)]
        has = [b for b in record["branches"] if b.get("targets")] if number % 4 == 0 else None
        chat = [b for b in record["branches"] if not b.get("targets")]
        kept = (has or chat)[:1]
        lines.append(json.dumps({**record, "id": str(number), "branches": kept}))
    for split in ("train",):
        (tmp_path / split).symlink_to(world / split)
    path = tmp_path / "lopsided.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_two_ranks_train_as_one_though_one_lacks_a_head(
    make_model: Callable[..., TpoModel],
    make_recipe: Callable[..., Recipe],
    lopsided: Path,
    tmp_path: Path,
) -> None:
    recipe = make_recipe(
        data=[{"path": str(lopsided), "allow_outside": True}],
        micro_batch=1,
        train={"lora": 1e-3, "tokens": 1e-3, "region": 1e-3},
        batch=2,
        steps=6,
    )
    alone = read_log(train(recipe, output=tmp_path / "alone", model=make_model()).log)
    file = tmp_path / "recipe.json"
    file.write_text(recipe.model_dump_json())
    root = Path(__file__).parents[3]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone",
         str(Path(__file__).with_name("two_ranks.py")), str(file), str(tmp_path / "pair")],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:4000]
    pair = read_log(tmp_path / "pair" / "log.jsonl")
    alone_on_a_rank = json.loads((tmp_path / "pair" / "ranks.json").read_text())
    assert any(step.count(0) == 1 for step in alone_on_a_rank), (
        "no step lacked the head on one rank"
    )
    assert_same_losses(alone, pair, tolerance=2e-4)
