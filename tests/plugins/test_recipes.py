"""The paper's recipes hold its tables of settings and data, number by number."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tpo_core.training.recipe import Recipe, Stage, load_recipe
from tpo_heads.temporal_cgdetr import CGDETRHead
from tpo_plugins.convert.sizes import released_heads

# TPO, arXiv 2412.19326 v2, Table 17, stage 2 by task: learning rates, batch, epochs.
HEAD, LORA = 1e-4, 2e-5
TUNING: Mapping[str, tuple[float, int, float]] = {
    "temporal": (2e-4, 64, 25),
    "mask": (1e-4, 128, 3),
    "region": (1e-4, 128, 1),
}
ALL = 2e-5
# Table 18: samples.
STAGE_2 = {"temporal": 116_500, "segmentation": 114_600, "spatial": 540_000}
STAGE_3 = {
    "stage3_temporal": 7_500,
    "stage3_spatial": 400_000,
    "stage3_segmentation": 116_500,
    "stage3_reasoning": 40_000,
}
CONVERSATION = {"conversation": 3_000_000}

RECIPES = {"videochat_tpo": "temporal_cgdetr", "llava_onevision_tpo": "temporal"}


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load_recipe(request.param, {"data.root": "data"})


@pytest.fixture
def temporal(recipe: Recipe) -> str:
    """Name of the temporal head."""
    return RECIPES[recipe.name]


def samples(stage: Stage) -> dict[str, float]:
    """Return the sample counts of a stage by the name of the file."""
    found = {}
    for source in stage.data:
        folder, _, name = source.path.rpartition("/")
        assert folder == "data"
        assert source.weight is not None
        found[name.removesuffix(".jsonl")] = source.weight
    return found


def test_what_all_stages_share(recipe: Recipe) -> None:
    assert recipe.lora is not None
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (16, 32, 0.1)
    assert recipe.num_frames == 16
    for stage in recipe.stages:
        assert (stage.schedule, stage.weight_decay, stage.warmup) == ("cosine", 0.02, 0.2)
        assert stage.max_grad_norm == 1.0


def test_stage_1(recipe: Recipe) -> None:
    stage = recipe.stages[0]
    assert (stage.batch, stage.epochs) == (128, 1)
    # Without LoRA on the head, as VideoChat has it, task tokens need rows of their own to differ.
    rows = {} if recipe.name == "videochat_tpo" else {"tokens": LORA}
    assert stage.train == {"lora": LORA, **rows}
    assert stage.loss_weights == {"region": 0, "temporal": 0, "mask": 0}
    expected = {f"stage1_{name}": 50_000 for name in ("temporal", "spatial", "segmentation")}
    assert samples(stage) == expected


def test_stage_2(recipe: Recipe, temporal: str) -> None:
    stages = {stage.name.removesuffix("_tuning"): stage for stage in recipe.stages[1:4]}
    files = {"temporal": "temporal", "mask": "segmentation", "region": "spatial"}
    assert stages.keys() == TUNING.keys()
    for task, stage in stages.items():
        tokens, batch, epochs = TUNING[task]
        assert (stage.batch, stage.epochs) == (batch, epochs)
        heads = {"temporal": [temporal], "mask": ["mask", "region"], "region": ["region"]}[task]
        assert stage.train == {"lora": LORA, "tokens": tokens, **dict.fromkeys(heads, HEAD)}
        assert samples(stage) == {f"stage2_{files[task]}": STAGE_2[files[task]]}


@pytest.mark.parametrize(("number", "epochs", "more"), [(4, 1, {}), (5, 3, CONVERSATION)])
def test_stage_3(
    recipe: Recipe, temporal: str, number: int, epochs: int, more: dict[str, int]
) -> None:
    stage = recipe.stages[number]
    assert len(recipe.stages) == 6
    assert (stage.batch, stage.epochs) == (256, epochs)
    trained = {"vision", "connector", "lora", "tokens", "region", temporal, "mask"}
    assert stage.train == dict.fromkeys(trained, ALL)
    assert samples(stage) == STAGE_3 | more


def test_videochats_heads_are_the_published_models() -> None:
    recipe = load_recipe("videochat_tpo", {"data.root": "data"})
    released = released_heads()
    assert recipe.heads["region"] == released["region"]
    mask = {**recipe.heads["mask"], "sam2": released["mask"]["sam2"]}
    assert mask == released["mask"]
    head = CGDETRHead(4096, **recipe.heads["temporal_cgdetr"])
    # As wide as the released weights: clips of 768, words of 4096, no projection of the state.
    assert head.widths == (768, 4096)
    assert not list(head.prompt_proj.parameters())
    assert recipe.backbone == "data/videochat"
