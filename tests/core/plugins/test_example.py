"""The example plugin, installed as a user would, in a fresh interpreter that has nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "plugins" / "examples" / "tpo-example"

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "plugins.md"


def documented_test():
    """Return the test that the documentation shows."""
    blocks = DOCUMENTATION.read_text(encoding="utf-8").split("```")
    return next(block.removeprefix("python") for block in blocks if "class TestPointHead" in block)


@pytest.fixture(scope="module")
def example(shared_site):
    shared_site.install(EXAMPLE)
    return shared_site


def test_it_is_two_files_besides_its_project_file():
    files = {path.name for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files == {"pyproject.toml", "__init__.py", "models.py"}


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


def test_its_backbone_serves_its_model_type(example):
    code = (
        "from tpo_core import registry as r\n"
        "spec = r.backbone_for_model_type('gemma3')\n"
        "print(spec.name, r.load_backbone(spec.name).__name__)"
    )
    done = example.python(code)
    assert done.stdout == "example-gemma3 Gemma3Adapter\n", done.stderr
