"""What must stay light: `import tpo_core`, listing plugins, `tpo --help` and `tpo plugins`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tpo_core

HEAVY = ("torch", "torchvision", "transformers", "peft", "accelerate", "sam2", "av", "matplotlib")
CHECK = f"""
import sys
loaded = [name for name in {HEAVY!r} if name in sys.modules]
if loaded:
    sys.exit(f"imported {{loaded}}")
"""
LISTING = """
import tpo_core as tpo
assert tpo.list_backbones() and tpo.list_heads()
tpo.list_datasets(), tpo.list_benchmarks()
assert all(not row.failed for row in tpo.plugins()), tpo.plugins()
"""
AUTHORING = """
from tpo_core import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec, TaskToken, hookimpl
from tpo_core import errors, registry, __version__
"""
COMMAND_LINE = """
from tpo_core.cli import main
assert main({words!r}) == 0
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import tpo_core; dir(tpo_core)", id="import"),
        pytest.param(LISTING, id="listing"),
        pytest.param(AUTHORING, id="what a registration module needs"),
        pytest.param(COMMAND_LINE.format(words=["--help"]), id="tpo --help"),
        pytest.param(COMMAND_LINE.format(words=["--version"]), id="tpo --version"),
        pytest.param(COMMAND_LINE.format(words=["plugins"]), id="tpo plugins"),
    ],
)
def test_nothing_heavy_is_imported(code):
    done = subprocess.run(
        [sys.executable, "-c", code + CHECK], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_dir_lists_every_public_name():
    assert set(tpo_core.__all__) <= set(dir(tpo_core))


@pytest.mark.parametrize("name", tpo_core.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(tpo_core, name) is not None


def test_plugins_is_the_function_whatever_was_imported():
    import tpo_core.registry.status

    assert callable(tpo_core.plugins)
    assert all(row.name for row in tpo_core.plugins())


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tpo_core' has no attribute 'atach'"):
        _ = tpo_core.atach
