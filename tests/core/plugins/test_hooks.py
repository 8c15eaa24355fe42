"""Every hook has a test that names it and is documented with its exact signature."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from tpo_core import hookspecs

ROOT = Path(__file__).parents[3]
SIGNATURES = {
    node.name: f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
    for node in ast.parse(inspect.getsource(hookspecs)).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith(hookspecs.PREFIX)
}
TESTS = {
    node.name
    for file in Path(__file__).parent.glob("test_*.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}


def test_the_hooks_are_those_of_the_contract():
    assert set(SIGNATURES) == {
        "tpo_backbones",
        "tpo_heads",
        "tpo_datasets",
        "tpo_benchmarks",
        "tpo_before_attach",
        "tpo_after_attach",
    }


@pytest.mark.parametrize("hook", SIGNATURES)
def test_a_hook_is_a_pluggy_hookspec(hook):
    assert hasattr(getattr(hookspecs, hook), f"{hookspecs.PROJECT}_spec")


@pytest.mark.parametrize("hook", SIGNATURES)
def test_a_hook_has_a_test_that_names_it(hook):
    assert any(name.startswith(f"test_{hook}_") for name in TESTS)


@pytest.mark.parametrize("hook", SIGNATURES)
def test_a_hook_is_documented_with_its_exact_signature(hook):
    documentation = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert f"### `{SIGNATURES[hook]}`" in documentation
