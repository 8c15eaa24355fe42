"""Every way a plugin can break, all installed at once: each is reported, none stops another."""

from __future__ import annotations

import json

import pytest

HEAD = """
from tpo_core import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec, TaskToken, hookimpl

def head(name, **more):
    token = TaskToken(task=name, trigger=f"<{name}_begin>", slot=f"<{name}_slot>")
    return HeadSpec(**{"name": name, "target": "nowhere:Head", "tokens": (token,), **more})
"""

GOOD = f"""{HEAD}
@hookimpl
def tpo_backbones():
    yield BackboneSpec(name="good-backbone", target="nowhere:Backbone", model_types=("good",))

@hookimpl
def tpo_heads():
    return [head("good-b"), head("good-a")]

@hookimpl
def tpo_datasets():
    return (DatasetSpec(name="good-data", target="nowhere:read"),)

@hookimpl
def tpo_benchmarks():
    return {{BenchmarkSpec(name="good-benchmark", target="nowhere:score")}}
"""

BROKEN = {
    "import-error": (
        "import surely_not_installed",
        "cannot import: ModuleNotFoundError: No module named 'surely_not_installed'",
    ),
    "exits": ("raise SystemExit('bye')", "cannot import: SystemExit: bye"),
    "not-utf8-safe": ("def f(:\n    pass", "cannot import: SyntaxError"),
    "wrong-signature": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads(): return [head('half')]\n"
        "@hookimpl\ndef tpo_before_attach(backbone, colour): ...",
        "{'colour'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "raising-generator": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads():\n    yield head('early')\n"
        "    raise OSError('no disk')",
        "tpo_heads: OSError: no disk",
    ),
    "raising-function": (
        f"{HEAD}\n@hookimpl\ndef tpo_backbones(): return 1 / 0",
        "tpo_backbones: ZeroDivisionError: division by zero",
    ),
    "not-iterable": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads(): return head('single')",
        "tpo_heads: TypeError: returned HeadSpec; expected an iterable of HeadSpec",
    ),
    "returns-none": (
        f"{HEAD}\n@hookimpl\ndef tpo_datasets(): ...",
        "tpo_datasets: TypeError: returned NoneType; expected an iterable of DatasetSpec",
    ),
    "wrong-kind": (
        f"{HEAD}\n@hookimpl\ndef tpo_backbones(): return [head('misplaced')]",
        "returned HeadSpec among its entries; expected an iterable of BackboneSpec",
    ),
    "other-api": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads(): return [head('future', api=2)]",
        "api=2 is not supported by this tpo, which has api=1; install a plugin version",
    ),
    "bad-fields": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads():\n"
        "    return [head('Big Name', target='no.colon', requires='torch', tokens=())]",
        "name='Big Name' must start with a lower-case letter or digit and hold only lower-case "
        "letters, digits, '_', '-' and '.'; target='no.colon' must look like "
        "'package.module:Attribute'; requires='torch' must be a tuple of import names; tokens is "
        "empty; a head needs at least one TaskToken",
    ),
    "repeats-itself": (
        f"{HEAD}\n@hookimpl\ndef tpo_heads(): return [head('twin'), head('twin')]",
        "returned the name 'twin' twice",
    ),
    "misspelt-hook": (
        f"{HEAD}\n@hookimpl\ndef tpo_head(): return [head('typo')]",
        "unknown hook 'tpo_head'; did you mean 'tpo_heads'?",
    ),
    "undecorated": (
        f"{HEAD}\ndef tpo_heads(): return [head('bare')]",
        "tpo_heads lacks the @hookimpl decorator",
    ),
    "wrapper": (
        f"{HEAD}\n@hookimpl(wrapper=True)\ndef tpo_heads(): return (yield)",
        "tpo_heads is a wrapper, which tpo's hooks do not take",
    ),
    "defaults": (
        f"{HEAD}\n@hookimpl\ndef tpo_before_attach(backbone, heads=None): ...",
        "tpo_before_attach gives a default to heads, which keeps pluggy from passing it",
    ),
    "empty": ("x = 1", "it implements no hook; expected one of tpo_after_attach, tpo_backbones"),
}

LISTING = """
import json, tpo_core as tpo
print(json.dumps({
    "backbones": [spec.name for spec in tpo.list_backbones()],
    "heads": [spec.name for spec in tpo.list_heads()],
    "datasets": [spec.name for spec in tpo.list_datasets()],
    "benchmarks": [spec.name for spec in tpo.list_benchmarks()],
}))
"""


@pytest.fixture(scope="module")
def everything(shared_site):
    shared_site.add("good", GOOD, version="2.3")
    for name, (source, _) in BROKEN.items():
        shared_site.add(name, source)
    listing = shared_site.python(LISTING)
    assert listing.returncode == 0, listing.stderr
    return shared_site.rows(), json.loads(listing.stdout), listing.stderr


def test_a_good_plugin_is_listed_with_version_hooks_and_what_it_provides(everything):
    rows, _, _ = everything
    assert rows["good"] == {
        "name": "good",
        "dist": "good",
        "version": "2.3",
        "hooks": ["tpo_backbones", "tpo_benchmarks", "tpo_datasets", "tpo_heads"],
        "provides": [
            "backbone good-backbone",
            "head good-b",
            "head good-a",
            "dataset good-data",
            "benchmark good-benchmark",
        ],
        "status": "ok",
        "error": "",
    }


def test_tpo_backbones_specs_are_listed(everything):
    assert "good-backbone" in everything[1]["backbones"]


def test_tpo_heads_specs_are_listed_sorted_by_name(everything):
    heads = everything[1]["heads"]
    assert heads == sorted(heads)
    assert {"good-a", "good-b", "region"} <= set(heads)


def test_tpo_datasets_specs_are_listed(everything):
    assert "good-data" in everything[1]["datasets"]


def test_tpo_benchmarks_specs_are_listed(everything):
    assert "good-benchmark" in everything[1]["benchmarks"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_reported(everything, name):
    row = everything[0][name]
    assert row["status"] == "error"
    assert BROKEN[name][1] in row["error"]
    assert row["provides"] == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_warned_about_in_one_line(everything, name):
    lines = [line for line in everything[2].splitlines() if f"plugin {name!r}" in line]
    assert len(lines) == 1
    assert BROKEN[name][1] in lines[0]


def test_nothing_of_a_broken_plugin_is_registered(everything):
    listed = {name for names in everything[1].values() for name in names}
    assert not listed & {"half", "early", "single", "misplaced", "future", "twin", "typo", "bare"}


def test_the_builtin_plugin_is_untouched(everything):
    assert everything[0]["builtin"]["status"] == "ok"


def test_an_unknown_name_mentions_the_plugins_that_failed(site):
    site.add("lost", "import surely_not_installed")
    done = site.python("import tpo_core.registry as r; r.get_head('point')")
    assert "unknown head 'point'" in done.stderr
    assert "plugins that failed: lost (see `tpo plugins`)" in done.stderr


def test_what_a_plugin_prints_does_not_spoil_json(site):
    site.add("chatty", f"print('hello')\n{GOOD}")
    assert site.rows()["chatty"]["status"] == "ok"


def test_one_module_under_two_entry_points_is_reported_once(site):
    site.add("good", GOOD)
    site.add("echo", "", value="good")
    rows = site.rows()
    assert {rows["good"]["status"], rows["echo"]["status"]} == {"ok", "error"}
    failed = next(row for row in rows.values() if row["status"] == "error")
    assert "already registered under a different name" in failed["error"]


def test_a_distribution_whose_entry_points_cannot_be_parsed_stops_nobody(site):
    site.add("good", GOOD)
    site.add("garbled", "")
    (site.folder / "garbled-1.0.dist-info" / "entry_points.txt").write_text("[tpo]\nno equals sign")
    rows = site.rows()
    assert rows["good"]["status"] == "ok"


def test_a_distribution_without_metadata_is_listed_all_the_same(site):
    site.add("good", GOOD)
    (site.folder / "good-1.0.dist-info" / "METADATA").unlink()
    row = site.rows()["good"]
    assert (row["status"], row["dist"], row["version"]) == ("ok", "good", "unknown")


def test_of_a_distribution_installed_twice_the_first_on_the_path_counts(site, tmp_path):
    older = type(site)(tmp_path / "older")
    older.folder.mkdir()
    site.add("good", GOOD, version="2.0")
    older.add("good", GOOD, version="1.0")
    code = f"import sys; sys.path.append({str(older.folder)!r})\n" + (
        "import tpo_core as tpo\n"
        "print([p.version for p in tpo.plugins() if p.name == 'good'], len(tpo.list_heads()))"
    )
    assert site.python(code).stdout.startswith("['2.0']")
