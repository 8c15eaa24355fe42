"""Two plugins that register one name: an error that names both, and nothing else breaks."""

from __future__ import annotations

import pytest

PLUGIN = """
from tpo_core import HeadSpec, TaskToken, hookimpl
TOKEN = TaskToken(task="point", trigger="<p>", slot="<q>")

@hookimpl
def tpo_heads():
    for name in {names}:
        yield HeadSpec(name=name, target="json:dumps", tokens=(TOKEN,))
"""

CLASH = (
    "head 'point' is registered by plugin 'one' (one 1.1) and plugin 'two' (two 2.2); "
    "switch one off with TPO_DISABLE_PLUGINS or uninstall it"
)


@pytest.fixture(scope="module")
def clashing(shared_site):
    shared_site.add("one", PLUGIN.format(names=["point", "only-one"]), version="1.1")
    shared_site.add("two", PLUGIN.format(names=["point"]), version="2.2")
    return shared_site


@pytest.mark.parametrize("call", ["tpo.list_heads()", "tpo.registry.get_head('point')"])
def test_using_the_name_is_an_error_that_names_both_providers(clashing, call):
    done = clashing.python(f"import tpo_core as tpo, tpo_core.registry; {call}")
    assert done.stderr.splitlines()[-1] == f"tpo_core.errors.PluginError: {CLASH}"


def test_both_plugins_are_reported(clashing):
    rows = clashing.rows()
    for name in ("one", "two"):
        assert (rows[name]["status"], rows[name]["error"]) == ("conflict", CLASH)
    assert rows["builtin"]["status"] == "ok"


def test_other_names_still_work(clashing):
    code = "from tpo_core import registry as r; print(r.get_head('only-one').name, "
    code += "r.get_head('region').name, len(r.list_backbones()) > 0)"
    assert clashing.python(code).stdout == "only-one region True\n"


def test_switching_one_off_resolves_it(clashing):
    code = "import tpo_core.registry as r; print(r.provider_of(r.HeadSpec, 'point'))"
    done = clashing.python(code, TPO_DISABLE_PLUGINS="two")
    assert done.stdout == "plugin 'one' (one 1.1)\n"


def test_a_clash_with_a_builtin_name_names_both(site):
    site.add("mine", PLUGIN.format(names=["region"]), version="0.9")
    done = site.python("import tpo_core as tpo; tpo.list_heads()")
    assert "head 'region' is registered by plugin 'builtin' (tpo " in done.stderr
    assert "and plugin 'mine' (mine 0.9)" in done.stderr
