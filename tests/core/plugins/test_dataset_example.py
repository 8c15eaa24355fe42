"""A dataset from another package, in two files as the documentation shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "plugins.md"


@pytest.fixture
def installed(site):
    """The documented package on a path, with the entry point of a distribution."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    files = re.findall(r"```python\n# (my_clips/\w+\.py)\n(.*?)```", text, flags=re.DOTALL)
    assert [name for name, _ in files] == ["my_clips/__init__.py", "my_clips/reader.py"]
    site.add("my-clips-dist", "", entry="my_clips", value="my_clips")
    for name, source in files:
        (site.folder / name).parent.mkdir(exist_ok=True)
        (site.folder / name).write_text(source)
    return site


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "a17.webm").write_bytes(b"media")
    rows = [
        {"clip": "a17", "text": "she waves", "start": 2.0, "end": 4.5},
        {"clip": "b2", "text": "he sits", "start": 3.0, "end": 3.0},
        {"clip": "a17", "text": "she leaves.", "start": 8.0, "end": 9.0},
        {"clip": "a17", "text": "no end", "start": 8.0},
    ]
    (folder / "train.json").write_text(json.dumps(rows))
    return folder


def test_it_is_listed_without_its_reader_being_imported(installed):
    code = (
        "import sys, tpo_core as tpo; names = [spec.name for spec in tpo.list_datasets()]\n"
        "print('my_clips' in names, 'my_clips.reader' in sys.modules, 'torch' in sys.modules)"
    )
    assert installed.python(code).stdout == "True False False\n"
    rows = {row["name"]: row for row in json.loads(installed.tpo("datasets", "--json").stdout)}
    assert rows["my_clips"]["splits"] == ["train", "test"]


def test_it_converts_like_any_other(installed, data):
    out = data / "records.jsonl"
    done = installed.tpo(
        "convert-data", "my_clips", str(data), str(out), "--limit", "0.5", "--json"
    )
    assert done.returncode == 0, done.stderr
    (record,) = map(json.loads, out.read_text().splitlines())
    assert (record["id"], record["media"]["path"]) == ("my_clips/train/a17", "videos/a17.webm")
    assert [branch["targets"][0]["spans"] for branch in record["branches"]] == [
        [[2.0, 4.5]],
        [[8.0, 9.0]],
    ]
    report = json.loads(done.stdout)
    assert report["quirks"] == {"span does not start before it ends: left out": 1}
    (bad,) = report["quarantined"]
    assert (bad["line"], bad["field"]) == (4, "[3].end")
