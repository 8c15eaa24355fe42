"""Rows of JSON, JSONL, text and CSV files: equal to parsing the whole file, by number, cached."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpo_core.errors import InputError, RecordError
from tpo_plugins.datasets import offsets, scan
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.text import csv_rows, text_lines

TEXTS = st.text(alphabet='ab"\\{}[],:\n é', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
same_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def small_chunks(monkeypatch):
    """Let strings, escapes and brackets fall across the borders of chunks."""
    monkeypatch.setattr(scan, "_CHUNK", 3)


@same_folder
@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 2]), raw=st.booleans())
def test_any_list_gives_its_values_in_order_and_by_number(
    tmp_path, small_chunks, values, indent, raw
):
    path = tmp_path / "rows.json"
    text = json.dumps(values, indent=indent, ensure_ascii=not raw)
    path.write_text(f"\n{text}\n", encoding="utf-8")
    rows = Rows(path)
    assert [row.value for row in rows] == values
    assert [rows[number].value for number in range(len(rows))] == values


@same_folder
@given(values=st.dictionaries(TEXTS, VALUES, max_size=6), deep=st.booleans())
def test_any_object_gives_its_members_with_their_keys(tmp_path, small_chunks, values, deep):
    path = tmp_path / "rows.json"
    whole = {"info": {"videos": [1]}, "videos": values, "end": 0} if deep else values
    path.write_text(json.dumps(whole))
    rows = Rows(path, under="videos" if deep else "")
    assert {row.key: row.value for row in rows} == values
    assert {key: rows[number].value for key, number in rows.numbers().items()} == values


@same_folder
@given(values=st.lists(VALUES, min_size=1, max_size=6), ends=st.booleans())
def test_any_lines_give_their_values(tmp_path, small_chunks, values, ends):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(value) for value in values) + ("\n" if ends else ""))
    rows = Rows(path)
    assert [row.value for row in rows] == values
    assert [rows[number].value for number in range(len(rows))] == values


class Named(Released):
    """A row for these tests."""

    name: str
    sizes: list[int]


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        (
            "a.json",
            '[{"name": "x", "sizes": [1]}, {"name": "y", "sizes": [1, "?"]}]',
            "[1].sizes.1",
        ),
        ("a.json", '{"x": {"name": "x", "sizes": []}, "y": {"sizes": []}}', "y.name"),
        ("a.jsonl", '{"name": "x", "sizes": []}\n{"name": 3, "sizes": []}\n', "name"),
    ],
    ids=["list", "object", "lines"],
)
def test_a_row_that_does_not_fit_names_file_number_key_and_field(tmp_path, file, text, place):
    (tmp_path / file).write_text(text)
    first, second = Rows(tmp_path / file)
    assert first.parse(Named).name == "x"
    with pytest.raises(RecordError) as caught:
        second.parse(Named)
    assert (caught.value.path, caught.value.line) == (str(tmp_path / file), 2)
    assert caught.value.field == place


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{"a": 2}\n', "the row is empty"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n{"a": 2}\n', "the row is not JSON: Expecting value"),
        ("a.jsonl", b'{"a": 1}\n"\xff"\n{"a": 2}\n', "the row is not UTF-8 (byte 0xff)"),
        ("a.json", b'[{"a": 1}, {"a" 1}, {"a": 2}]', "the row is not JSON: Expecting ':'"),
    ],
)
def test_a_malformed_row_stops_no_other(tmp_path, file, content, reason):
    (tmp_path / file).write_bytes(content)
    first, bad, last = Rows(tmp_path / file)
    assert (first.value, last.value) == ({"a": 1}, {"a": 2})
    assert isinstance(bad, RecordError)
    assert bad.line == 2
    assert reason in bad.reason


def test_a_file_that_breaks_off_gives_the_rows_before(tmp_path):
    (tmp_path / "a.json").write_text('[{"a": 1}, {"a": 2}, {"a"')
    *rows, bad = Rows(tmp_path / "a.json")
    assert [row.value for row in rows] == [{"a": 1}, {"a": 2}]
    assert "the row is not JSON" in bad.reason


@pytest.mark.parametrize(
    ("content", "under", "message"),
    [
        ("", "", "is empty; expected a JSON list or object, or JSON lines"),
        ("<html>", "", "it begins with '<'; expected a JSON list or object"),
        ('{"a": []}', "b", "has no key 'b' at its top"),
        ('{"a": 3}', "a", "'a' begins with '3'; expected a JSON list or object"),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path, content, under, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Rows(tmp_path / "a.json", under=under)
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        Rows(tmp_path / "b.json")
    (tmp_path / "b.jsonl").write_text("")
    with pytest.raises(InputError, match="is empty; expected a JSON list"):
        Rows(tmp_path / "b.jsonl")


def test_a_row_number_out_of_range_is_an_index_error(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(IndexError, match="row 1 of 1"):
        Rows(tmp_path / "a.json")[1]


class TestKeptIndex:
    """The index of a large file; every file counts as large here."""

    @pytest.fixture(autouse=True)
    def _keep_all(self, monkeypatch, tmp_path):
        monkeypatch.setattr(offsets, "KEEP_FROM", 0)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "data" / "rows.json"
        path.parent.mkdir()
        path.write_text('[{"a": 1}, {"a": 2}]')
        return path

    @staticmethod
    def values(path):
        rows = Rows(path)
        return [rows[number].value["a"] for number in range(len(rows))]

    def test_it_is_built_once_and_lies_beside_the_file(self, path, monkeypatch):
        assert self.values(path) == [1, 2]
        assert sorted(os.listdir(path.parent)) == [".rows.json.tpo-index", "rows.json"]

        def never(*_):
            raise AssertionError("the file was gone through again")

        monkeypatch.setattr(offsets, "member_bounds", never)
        assert self.values(path) == [1, 2]

    def test_going_through_the_rows_needs_and_builds_none(self, path):
        assert [row.value["a"] for row in Rows(path)] == [1, 2]
        assert os.listdir(path.parent) == ["rows.json"]
        self.values(path)
        assert [row.value["a"] for row in Rows(path)] == [1, 2]

    def test_a_file_that_changed_is_gone_through_again(self, path):
        assert self.values(path) == [1, 2]
        path.write_text('[{"a": 30}, {"a": 4}, {"a": 5}]')
        assert self.values(path) == [30, 4, 5]
        # The same size, another time.
        path.write_text('[{"a": 3}, {"a": 40}, {"a": 5}]')
        os.utime(path, ns=(1, 1))
        assert self.values(path) == [3, 40, 5]

    @pytest.mark.parametrize("damage", [b"", b"no index at all" * 20, None])
    def test_a_damaged_index_is_built_again(self, path, damage):
        assert self.values(path) == [1, 2]
        index = path.with_name(".rows.json.tpo-index")
        index.write_bytes(index.read_bytes()[:-8] if damage is None else damage)
        assert self.values(path) == [1, 2]

    def test_it_goes_to_the_cache_folder_if_it_cannot_lie_beside(self, path, tmp_path):
        path.with_name(".rows.json.tpo-index").mkdir()  # so that no file can be put there
        assert self.values(path) == [1, 2]
        assert [file.suffix for file in (tmp_path / "cache" / "tpo").iterdir()] == [".tpo-index"]
        assert sorted(os.listdir(path.parent)) == [".rows.json.tpo-index", "rows.json"]

    def test_without_a_place_it_is_held_in_memory(self, path, tmp_path):
        path.with_name(".rows.json.tpo-index").mkdir()
        (tmp_path / "cache").write_text("no folder")
        assert self.values(path) == [1, 2]

    def test_parts_of_one_file_have_indexes_of_their_own(self, path):
        path.write_text('{"x": [1], "y": {"k": 2}}')
        assert [row.value for row in Rows(path, under="x")] == [1]
        assert [row.value for row in Rows(path, under="y")] == [2]
        assert [row.value for row in Rows(path)] == [[1], {"k": 2}]


def test_text_lines_know_their_number_and_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\ncaf\xe9\n")
    first, bad = text_lines(path)
    assert (first.value, first.number) == ("one", 1)
    assert bad.line == 3
    assert "byte 0xe9 at column 4" in bad.reason
    _, second = text_lines(path, fallback="latin-1")
    assert second.value == "café"
    with pytest.raises(InputError, match="cannot read"):
        list(text_lines(tmp_path / "b.txt"))


def test_csv_rows_are_texts_by_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,note\n1,"two\nlines"\n2\n3,a,b\n4,\xff\n5,end\n')
    first, short, long, bad, last = csv_rows(path, columns=("id",))
    assert isinstance(first, Row)
    assert first.value == {"id": "1", "note": "two\nlines"}
    assert (short.line, long.line, bad.line) == (4, 5, 6)
    assert "has not the 2 columns" in short.reason
    assert "is not UTF-8" in bad.reason
    assert last.value["note"] == "end"
    with pytest.raises(InputError, match="has no column length; its header is id, note"):
        list(csv_rows(path, columns=("id", "length")))
