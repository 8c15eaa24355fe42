"""`tpo inspect model`: every weight is counted once, under the right group, and none is read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backbones.tiny import videochat as tiny
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_backbones.videochat.published import LEGACY
from tpo_core.build import attach
from tpo_core.errors import CheckpointError, InputError
from tpo_core.model import TpoModel
from tpo_core.training.groups import parameter_groups
from tpo_plugins.parameters.command import run
from tpo_plugins.parameters.sam2 import sam2_shapes
from tpo_plugins.parameters.saved import saved_rows
from tpo_plugins.parameters.table import Row

SHAPES = Path(__file__).parents[1] / "golden" / "tpo" / "checkpoint_shapes.json"
# Groups by the start of the released name; LoRA lies within the language model.
PARTS = {
    "vision": ("vision_encoder.", "vision_layernorm."),
    "connector": ("qformer.", "query_tokens", "extra_query_tokens", "project_up."),
    "llm": ("lm.",),
    "region": ("loc_encoder.", "loc_decoder."),
    "temporal_cgdetr": ("cg_model.",),
    "mask": ("track_embed.", "track_embed_decode2."),
    "tokens": ("box_token", "temporal_token", "track_token"),
    "sam2, frozen": ("sam.",),
    "constants of a loss": ("cg_criterion.",),
} | {f"legacy, never run: {name.removesuffix('.')}": (name,) for name in LEGACY}
TINY_SAM2 = "package:tpo_plugins/tiny/sam2"


def by_hand() -> dict[str, tuple[int, int]]:
    """Count the released keys and shapes by the start of their names."""
    counted: dict[str, tuple[int, int]] = {}
    for name, shape in json.loads(SHAPES.read_text(encoding="utf-8"))["shapes"].items():
        group = next(part for part, starts in PARTS.items() if name.startswith(starts))
        group = "lora" if ".lora_" in name else group
        group = "buffers" if name.endswith(".position_ids") else group
        number, elements = counted.get(group, (0, 0))
        counted[group] = number + 1, elements + math.prod(shape)
    return counted


def test_the_published_model(capsys: pytest.CaptureFixture[str]) -> None:
    run("videochat_tpo", as_json=True)
    *rows, total = json.loads(capsys.readouterr().out)
    assert {row["group"]: (row["tensors"], row["elements"]) for row in rows} == by_hand()
    assert total == {"group": "total", "tensors": 2594, "elements": 8_101_366_746}


def test_the_published_model_takes_no_memory() -> None:
    code = (
        "import resource; from tpo_plugins.parameters.command import run; run('videochat_tpo');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said[-3].split() == ["total", "2,594", "8,101,366,746"]
    assert said[-2] == "16.2 GB in bfloat16, 32.4 GB in float32"
    assert int(said[-1]) < 2 << 20  # KiB, of which libraries take most


@pytest.fixture(scope="module")
def videochat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videochat")
    tiny.build(folder)
    return folder


def attached(folder: Path, **options: Any) -> TpoModel:
    heads: dict[str, dict[str, Any]] = {"region": {}, "temporal": {}, "mask": {"sam2": TINY_SAM2}}
    return attach(VideoChatAdapter.load(str(folder)), heads, **options)


def counted(rows: list[Row]) -> dict[str, int]:
    return {row.group: row.elements for row in rows}


def elements(model: TpoModel) -> dict[str, int]:
    """Count a model's weights by the groups that training has."""
    groups = parameter_groups(model)
    found = {name: sum(p.numel() for p in group.values()) for name, group in groups.items()}
    for name, head in model.heads.items():
        found[name] = sum(value.numel() for value in head.state_dict().values())
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_saved_model(videochat: Path, tmp_path: Path, is_merged: bool) -> None:
    model = attached(videochat)
    if is_merged:
        model.merge()
    model.save_pretrained(str(tmp_path / "model"), include_backbone=True)
    found = counted(saved_rows(str(tmp_path / "model")))
    frozen = model.heads["mask"].sam2.state_dict()
    assert found.pop("sam2, frozen") == sum(value.numel() for value in frozen.values())
    assert found == elements(model)
    assert ("lora" in found) is not is_merged


def test_a_saved_model_that_refers_to_its_backbone(
    make_model: Callable[..., TpoModel], random_llava: Path, tmp_path: Path
) -> None:
    model = make_model("region", lora=None)
    model.save_pretrained(str(tmp_path / "model"), include_backbone=False)
    # The backbone as it is where it came from, without rows that task tokens may have added.
    own = TransformersAdapter.load(str(random_llava)).parameter_group("llm")
    expected = elements(model) | {"llm": sum(p.numel() for p in own.values())}
    assert counted(saved_rows(str(tmp_path / "model"))) == expected


def test_a_backbone_of_another_packages_adapter(videochat: Path, tmp_path: Path) -> None:
    model = attached(videochat, lora=None)
    model.save_pretrained(str(tmp_path / "model"), include_backbone=True)
    path = tmp_path / "model" / "backbone" / "config.json"
    path.write_text(path.read_text().replace("videochat_tpo", "someone_elses"))
    found = counted(saved_rows(str(tmp_path / "model")))
    own = [model.backbone.parameter_group(name) for name in ("vision", "connector", "llm")]
    buffers = model.backbone.model.qformer.bert["embeddings"].position_ids.numel()
    expected = sum(p.numel() for group in own for p in group.values()) + buffers
    assert found["backbone"] == expected


def test_what_is_no_model_is_refused(videochat: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the model videochat_tqo does not exist"):
        run("videochat_tqo")
    with pytest.raises(CheckpointError, match="holds no model with heads"):
        run(str(videochat))
    model = attached(videochat, lora=None)
    model.save_pretrained(str(tmp_path / "model"), include_backbone=True)
    (tmp_path / "model" / "heads.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"heads.safetensors is broken \(.*\); save the"):
        run(str(tmp_path / "model"))
    with pytest.raises(InputError, match=r"SAM2 '.*' has no config.yaml"):
        sam2_shapes(str(tmp_path))


@pytest.mark.parametrize("source", ["facebook/sam2-hiera-large", "some/sam2_hiera_large.pt"])
def test_a_released_sam2_is_counted_without_its_weights(source: str) -> None:
    shapes = sam2_shapes(source)
    assert (len(shapes), sum(map(math.prod, shapes))) == (900, 224_430_386)


def test_no_weight_is_read(videochat: Path, tmp_path: Path) -> None:
    model = attached(videochat)
    model.save_pretrained(str(tmp_path / "model"), include_backbone=True)
    (tmp_path / "model" / "backbone" / "model.safetensors").unlink()
    before = counted(saved_rows(str(tmp_path / "model")))
    assert before["llm"] == elements(model)["llm"]
