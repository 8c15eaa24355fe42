"""Files of predictions that must not be scored."""

from __future__ import annotations

from typing import Any

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.predictions import Expected, check_predictions

SPANS = Expected(fields={"spans": "spans"}, durations=dict.fromkeys(range(40), 30.0))


def refused(rows: list[Any], ids: Any, expected: Expected) -> str:
    with pytest.raises(InputError) as caught:
        check_predictions(rows, ids, expected, source="P.jsonl")
    return str(caught.value)


def test_good_rows_come_back_by_id() -> None:
    rows = [{"id": 1, "spans": [[0, 5.5], [2, 31]]}, {"id": 2, "spans": []}]
    assert check_predictions(rows, [1, 2, 3], SPANS) == {1: rows[0], 2: rows[1]}


def test_unknown_duplicate_and_missing_ids() -> None:
    rows = [
        {"id": "1", "spans": []},
        {"id": 2, "spans": []},
        {"id": 2, "spans": []},
        {"spans": []},
        "no row",
    ]
    assert refused(rows, [2, 3], SPANS) == (
        "P.jsonl cannot be scored, 4 problems: row 1: '1' is no known id (they are like 2); "
        "row 3: 2 has a prediction already; row 4 has no id; row 5 has no id"
    )
    complete = Expected(fields={}, complete=True)
    assert "1 problem: 3 has no prediction" in refused([{"id": 2}], [2, 3], complete)


def test_ids_of_several_fields() -> None:
    expected = Expected(fields={"answer": "text"}, id_fields=("clip", "query"))
    row = {"clip": "c", "query": 0, "answer": "yes"}
    assert check_predictions([row], [("c", 0)], expected) == {("c", 0): row}
    assert "row 1: ('c', 1) is no known clip, query" in refused(
        [{**row, "query": 1}], [("c", 0)], expected
    )


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("spans", [[0, float("nan")]], "expected a list of [start, end] in seconds"),
        ("spans", [[0, "5"]], "expected a list of [start, end] in seconds"),
        ("spans", [0, 5], "expected a list of [start, end] in seconds"),
        ("spans", "0-5", "expected a list of [start, end] in seconds"),
        ("scored spans", [[0, 5]], "expected a list of [start, end, score]"),
        ("span", [0, float("inf")], "expected [start, end] in seconds"),
        ("scores", [1, None], "expected a list of finite numbers"),
        ("box", [0, 0, 1], "expected four finite numbers"),
        ("text", None, "expected a text"),
        ("masks", 5, "expected a COCO RLE a frame"),
        ("masks", [{"size": [4, 4]}], "masks of frame 0 is"),
    ],
)
def test_values_of_another_kind(kind, value, reason) -> None:
    name = "masks" if kind == "masks" else "value"
    message = refused([{"id": 1, name: value}], [1], Expected(fields={name: kind}))
    assert "1 problem: 1: " in message
    assert reason in message


def test_a_missing_field_and_the_first_ten_offenders() -> None:
    message = refused([{"id": number} for number in range(12)], range(12), SPANS)
    assert "12 problems" in message
    assert message.count("the field spans is missing") == 10
    assert message.endswith("; and 2 more")


def test_frames_for_seconds() -> None:
    fps = 25
    rows = [{"id": n, "spans": [[n * fps / 2, (n / 2 + 3) * fps]]} for n in range(30)]
    message = refused(rows, range(40), SPANS)
    assert "0: spans has [0, 75], the video is 30 s long; are these frames? Expected seconds" in (
        message
    )
    one = Expected(fields={"span": "span"}, durations={1: 30.0})
    assert "are these frames?" in refused([{"id": 1, "span": [100, 300]}], [1], one)


def test_a_stray_span_or_an_unknown_duration_is_no_wrong_unit() -> None:
    rows = [{"id": number, "spans": [[0, 20]]} for number in range(30)]
    rows[3] = {"id": 3, "spans": [[100, 200]]}
    assert len(check_predictions(rows, range(40), SPANS)) == 30
    assert check_predictions([{"id": 99, "spans": [[500, 900]]}], [99], SPANS)


def test_masks_of_another_size_are_named() -> None:
    expected = Expected(fields={"masks": "masks"}, sizes={1: (480, 854)})
    good = {"size": [480, 854], "counts": "x"}
    assert check_predictions([{"id": 1, "masks": {"0": good, "5": None}}], [1], expected)
    message = refused([{"id": 1, "masks": [good, {**good, "size": [240, 427]}]}], [1], expected)
    assert message.endswith(
        "1: masks of frame 1 has height and width [240, 427], the picture has [480, 854]"
    )
