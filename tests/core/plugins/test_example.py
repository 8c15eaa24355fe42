"""The example plugin, installed as a user would, in a fresh interpreter that has nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "plugins" / "examples" / "tpo-example"
DOCUMENTATION = ROOT / "docs" / "plugins.md"


def documented_test():
    """Return the test that the documentation shows."""
    blocks = DOCUMENTATION.read_text(encoding="utf-8").split("```")
    return next(block.removeprefix("python") for block in blocks if "class TestPointHead" in block)


@pytest.fixture(scope="module")
def example(shared_site):
    shared_site.install(EXAMPLE)
    return shared_site


def test_it_is_two_files_besides_its_project_file():
    assert sorted(path.name for path in EXAMPLE.rglob("*.py")) == ["__init__.py", "models.py"]


def test_it_is_listed_with_what_it_provides(example):
    row = example.rows()["example"]
    assert row["status"] == "ok", row["error"]
    assert (row["dist"], row["version"]) == ("tpo-example", "1.0.0")
    assert row["provides"] == ["backbone example-gemma3", "head point"]


def test_listing_it_imports_neither_its_classes_nor_torch(example):
    code = (
        "import sys, tpo_core as tpo; names = [spec.name for spec in tpo.list_heads()]\n"
        "print('point' in names, 'tpo_example.models' in sys.modules, 'torch' in sys.modules)"
    )
    assert example.python(code).stdout == "True False False\n"


def test_its_head_passes_the_conformance_kit_as_documented(example, tmp_path):
    file = tmp_path / "test_point.py"
    file.write_text(documented_test())
    run = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    done = example.python(run, "-q", "-p", "no:cacheprovider", str(file), OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout


def run_with_families(example, code, folder):
    """Run code that may import the tests' tiny backbones."""
    path = f"import sys; sys.path.append({str(ROOT)!r})\n"
    return example.python(path + code, str(folder), OMP_NUM_THREADS="1")


ATTACH = """
import json, sys
from tests.backbones import tiny_families
import tpo_core as tpo

folder = tiny_families.write("gemma3", sys.argv[1])
model = tpo.attach(str(folder), heads=["point"])
names = [name.partition(".lora_")[0] for name, _ in model.named_parameters() if ".lora_" in name]
print(json.dumps({"adapter": type(model.backbone).__name__, "lora": names}))
"""


def test_its_backbone_is_picked_for_its_model_type_and_does_what_it_overrides(example, tmp_path):
    done = run_with_families(example, ATTACH, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["adapter"] == "Gemma3Adapter"
    assert {name.rpartition(".")[2] for name in found["lora"]} == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
    }


TRAIN = """
import json, sys
from pathlib import Path
import torch
from PIL import Image
from tests.backbones import tiny_families
import tpo_core as tpo
from tpo_core.records.dataset import RecordDataset
from tpo_core.records.reader import RecordFile

torch.manual_seed(0)
folder = Path(sys.argv[1])
Image.new("RGB", (40, 32), "red").save(folder / "red.png")
record = {
    "id": "r", "media": {"type": "image", "path": "red.png"},
    "branches": [{
        "messages": [{"role": "user", "content": "Where?"},
                     {"role": "assistant", "content": "At <point> and <point>."}],
        "targets": [{"task": "point", "point": [0.25, 0.5]}, {"task": "point", "point": [1, 0]}],
    }],
}
(folder / "train.jsonl").write_text(json.dumps(record))
backbone = tiny_families.write("llava_onevision", folder / "backbone")
model = tpo.attach(str(backbone), heads={"region": {}, "point": {"l1_weight": 3.0}})
head = model.heads["point"]
targets = {"point": head.Target}
data = RecordDataset([RecordFile(folder / "train.jsonl", targets=targets)], num_frames=1)
batch = model.collator()([data[0]])
sums = model(batch)
sums["point/l1"].backward()
print(json.dumps({
    "counts": batch.counts,
    "weight": model.loss_weights()["point/l1"],
    "loss": sums["point/l1"].item(),
    "gradients": [float(p.grad.norm()) for p in head.parameters()],
    "others": [p.grad is None for p in model.heads["region"].parameters()],
}))
"""


def test_its_head_trains_beside_a_builtin_one_on_records_of_its_own_task(example, tmp_path):
    done = run_with_families(example, TRAIN, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["counts"]["point/l1"] == 2
    assert found["weight"] == 3.0
    assert 0 < found["loss"] < 2
    assert all(norm > 0 for norm in found["gradients"])
    assert all(found["others"])
