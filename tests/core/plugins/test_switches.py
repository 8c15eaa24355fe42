"""TPO_PLUGINS, TPO_DISABLE_PLUGINS and TPO_STRICT_PLUGINS."""

from __future__ import annotations

import pytest

from tpo_core.registry import Provider, Switches

PLUGIN = """
print("IMPORTED {name}")
from tpo_core import DatasetSpec, hookimpl

@hookimpl
def tpo_datasets():
    return [DatasetSpec(name="{name}-data", target="json:load")]
"""
NAMES = "import tpo_core as tpo; print([s.name for s in tpo.list_datasets() if '-data' in s.name])"


@pytest.fixture(scope="module")
def installed(shared_site):
    shared_site.add("my-first", PLUGIN.format(name="first"), entry="first")
    shared_site.add("second", PLUGIN.format(name="second"))
    shared_site.add("broken", "import surely_not_installed")
    return shared_site


def statuses(site, **environ):
    code = "import tpo_core as tpo; print({p.name: str(p.status) for p in tpo.plugins()})"
    return site.python(code, **environ).stdout


@pytest.mark.parametrize("name", ["first", "my-first", "My_First", " first , other "])
def test_a_disabled_plugin_is_not_even_imported(installed, name):
    told = statuses(installed, TPO_DISABLE_PLUGINS=name)
    assert "'first': 'disabled'" in told
    assert "'second': 'ok'" in told
    assert "IMPORTED first" not in told


def test_a_disabled_plugin_registers_nothing(installed):
    assert installed.python(NAMES, TPO_DISABLE_PLUGINS="first").stdout.endswith("['second-data']\n")


def test_the_builtin_plugin_can_be_disabled(installed):
    assert "'builtin': 'disabled'" in statuses(installed, TPO_DISABLE_PLUGINS="builtin")


@pytest.mark.parametrize(("allowed", "on"), [("first", {"first"}), ("", set())])
def test_the_allow_list_keeps_out_everyone_else_but_the_builtins(installed, allowed, on):
    told = statuses(installed, TPO_PLUGINS=allowed)
    for name in ("first", "second"):
        assert f"'{name}': '{'ok' if name in on else 'disabled'}'" in told
        assert (f"IMPORTED {name}" in told) == (name in on)
    assert "'builtin': 'ok'" in told
    assert "'broken': 'disabled'" in told


def test_a_name_on_the_allow_list_that_is_not_installed_is_reported(installed):
    told = statuses(installed, TPO_PLUGINS="first,secnod")
    assert "'secnod': 'missing'" in told
    code = "import tpo_core as tpo; print([p.error for p in tpo.plugins() if p.name == 'secnod'])"
    error = installed.python(code, TPO_PLUGINS="first,secnod").stdout
    assert "TPO_PLUGINS names it but it is not installed; did you mean 'second'?" in error


def test_strict_turns_a_failure_into_an_error(installed):
    done = installed.python(NAMES, TPO_STRICT_PLUGINS="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "tpo_core.errors.PluginError: TPO_STRICT_PLUGINS is set and plugins failed: "
        "plugin 'broken' (broken 1.0): cannot import: ModuleNotFoundError: No module named "
        "'surely_not_installed'"
    )


def test_strict_lists_plugins_all_the_same_and_exits_with_1(installed):
    done = installed.tpo("plugins", TPO_STRICT_PLUGINS="1")
    assert done.returncode == 1
    expected = "broken: cannot import: ModuleNotFoundError: No module named 'surely_not_installed'"
    assert expected in done.stdout.splitlines()
    assert installed.tpo("plugins").returncode == 0


@pytest.mark.parametrize("value", ["", "0", "false", "No"])
def test_strict_can_be_spelt_off(value):
    assert not Switches.from_environment({"TPO_STRICT_PLUGINS": value}).strict


def test_strict_with_the_failing_plugin_disabled_is_content(installed):
    done = installed.python(NAMES, TPO_STRICT_PLUGINS="1", TPO_DISABLE_PLUGINS="broken")
    assert done.stdout.endswith("['first-data', 'second-data']\n")


def test_disabling_wins_over_allowing():
    switches = Switches.from_environment({"TPO_PLUGINS": "a", "TPO_DISABLE_PLUGINS": "a"})
    assert switches.reason_off(Provider(name="a")) == "named in TPO_DISABLE_PLUGINS"
