"""Rows about one media item become branches of one record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Message
from tpo_plugins.datasets import grouping
from tpo_plugins.datasets.grouping import Group, group_all, group_consecutive, group_records
from tpo_plugins.datasets.rows import Row, Rows

KEYS = ["b", "a", "a", "b", "c", "a"]


def key(row):
    if row.value["v"] == "?":
        raise row.error("names no video", field="v")
    return row.value["v"]


@pytest.fixture
def rows(tmp_path):
    lines = [json.dumps({"v": name, "n": number}) for number, name in enumerate(KEYS)]
    lines.insert(3, "{")
    lines.insert(5, '{"v": "?"}')
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    return Rows(tmp_path / "rows.jsonl")


def split(items):
    """Return what was grouped, and the lines of errors."""
    groups = [
        (item.key, [row.value["n"] for row in item.rows])
        for item in items
        if isinstance(item, Group)
    ]
    return groups, [item.line for item in items if isinstance(item, RecordError)]


def test_consecutive_groups_follow_the_file(rows):
    expected = [("b", [0]), ("a", [1, 2]), ("b", [3]), ("c", [4]), ("a", [5])]
    assert split(list(group_consecutive(rows, key=key))) == (expected, [4, 6])


def test_all_groups_hold_every_row_of_a_key_in_order_of_first_appearance(rows):
    expected = [("b", [0, 3]), ("a", [1, 2, 5]), ("c", [4])]
    assert split(list(group_all(rows, key=key))) == (expected, [4, 6])
    assert split(list(group_all(list(rows), key=key))) == (expected, [4, 6])
    assert list(group_all([], key=key)) == []


def test_keys_of_one_digest_stay_apart(rows, monkeypatch):
    monkeypatch.setattr(grouping, "_digest", lambda _: 7)
    groups, _ = split(list(group_all(rows, key=key)))
    assert groups == [("b", [0, 3]), ("a", [1, 2, 5]), ("c", [4])]


def branch(row, name):
    if row.value == "bad":
        raise row.error("cannot be used")
    if row.value == "left out":
        return []
    messages = [Message(role="user", content=name), Message(role="assistant", content=row.value)]
    return [Branch(messages=messages)]


def records(*groups, **options):
    made = [
        Group(
            key=name,
            rows=[
                Row(value=value, path=Path("f"), number=number)
                for number, value in enumerate(values, start=5)
            ],
        )
        for name, values in groups
    ]
    return list(
        group_records(
            made,
            prefix="set",
            media=lambda group: MediaRef(type="video", path=f"{group.key}.mp4"),
            branches=branch,
            **options,
        )
    )


def test_a_bad_row_costs_its_branch_alone():
    bad, record = records(("a", ["bad", "x", "left out", "y"]))
    assert (bad.line, bad.reason) == (5, "cannot be used")
    assert (record.id, record.media.path) == ("set/a", "a.mp4")
    assert [[turn.content for turn in each.messages] for each in record.branches] == [
        ["set/a#1", "x"],
        ["set/a#3", "y"],
    ]


def test_a_row_that_breaks_off_costs_all_its_branches():
    def breaks_off(row, name):
        yield from branch(row, name)
        raise row.error("the rest cannot be used")

    group = Group(key="k", rows=[Row(value="x", path=Path("f"), number=9)])
    (bad,) = group_records([group], prefix="set", media=lambda _: None, branches=breaks_off)
    assert bad.reason == "the rest cannot be used"


def test_a_group_without_branches_gives_no_record():
    assert records(("a", ["left out"])) == []


def test_records_are_named_by_the_number_of_a_row_where_keys_come_back():
    (record,) = records(("a", ["x"]), numbered=True)
    assert record.id == "set/5"


def test_what_pydantic_refuses_names_the_row():
    group = Group(key="k", rows=[Row(value="x", path=Path("f"), number=9)])
    (bad,) = group_records(
        [group],
        prefix="set",
        media=lambda _: MediaRef(type="video", path=""),
        branches=branch,
    )
    assert (bad.path, bad.line, bad.field) == ("f", 9, "path")
