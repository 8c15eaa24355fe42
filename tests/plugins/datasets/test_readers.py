"""The `jsonl` and `tiny_world` datasets."""

from __future__ import annotations

import json

import pytest

from tpo_core import registry
from tpo_core.errors import InputError, RecordError
from tpo_plugins.world import generate_world


@pytest.fixture
def jsonl():
    return registry.load_dataset("jsonl")


@pytest.fixture
def tiny_world():
    return registry.load_dataset("tiny_world")


def record(name):
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    media = {"type": "image", "path": f"{name}.png"}
    return {"id": name, "media": media, "branches": [{"messages": messages}]}


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts))


def test_a_file_gives_its_records_and_names_the_bad_ones(tmp_path, jsonl):
    write(tmp_path / "a.jsonl", record("one"), "{", record("two"))
    first, bad, second = jsonl(tmp_path / "a.jsonl")
    assert (first.id, second.id) == ("one", "two")
    assert isinstance(bad, RecordError)
    assert (bad.path, bad.line) == (str(tmp_path / "a.jsonl"), 2)


def test_a_folder_gives_every_file_with_paths_from_the_folder(tmp_path, jsonl):
    write(tmp_path / "train.jsonl", record("one"))
    write(tmp_path / "deep" / "train.jsonl", record("two"))
    write(tmp_path / "deep" / "test.jsonl", record("three"))
    paths = {found.id: found.media.path for found in jsonl(tmp_path)}
    assert paths == {"one": "one.png", "two": "deep/two.png", "three": "deep/three.png"}
    assert {found.id for found in jsonl(tmp_path, split="train")} == {"one", "two"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "nowhere does not exist"), ("", r"holds no \*.jsonl file")],
)
def test_nothing_to_read_is_an_error(tmp_path, jsonl, name, message):
    with pytest.raises(InputError, match=message):
        jsonl(tmp_path / name)


def test_a_world_is_written_on_first_use_and_opened_after(tmp_path, tiny_world):
    folder = tmp_path / "world"
    sizes = {"train": 2, "test": 1}
    written = list(tiny_world(folder, seed=3, sizes=sizes))
    assert [found.id for found in written] == ["test_00000", "train_00000", "train_00001"]
    assert all((folder / found.media.path).is_file() for found in written)
    again = list(tiny_world(folder, seed=99, split="train"))
    assert again == written[1:]
    assert generate_world(folder, seed=3, sizes=sizes).written is False


def test_another_folder_is_not_overwritten(tmp_path, tiny_world):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds no world\.json"):
        tiny_world(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_split_that_is_not_there_is_named(tmp_path, tiny_world):
    generate_world(tmp_path, sizes={"test": 1})
    with pytest.raises(InputError, match=r"holds no val.jsonl file"):
        tiny_world(tmp_path, split="val")
