"""`score_predictions`: other people's files and our own, and what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.core.evaluation.stand_ins import Echo, Repeat, case, gone
from tpo_core.errors import InputError, UnknownName
from tpo_core.evaluation import (
    Benchmark,
    EvaluationResult,
    Expected,
    evaluate,
    score_predictions,
)
from tpo_core.records.quarantine import BadSample

TEXTS = ("one", "two wrong", "three")
CASES = [
    BadSample(path="x.jsonl", line=1, reason="torn"),
    *(case(name, *TEXTS, load=gone) for name in "ab"),
]
ROWS = [{"id": f"{name}/{text}", "text": text} for name in "ab" for text in TEXTS]


@pytest.fixture
def score(tmp_path):
    """Write rows and score them."""

    def written(rows=None, *, text=None, name="rows.jsonl", bench=None, **options):
        path = tmp_path / name
        lines = "".join(json.dumps(row) + "\n" for row in rows or ())
        path.write_text(lines if text is None else text)
        bench = bench or Repeat(CASES)
        return score_predictions(bench, path, data=tmp_path, progress=False, **options)

    return written


def test_rows_score_as_a_models_answers_would_and_no_media_is_opened(score, tmp_path):
    found = score(ROWS)
    opened = [case(name, *TEXTS) for name in "ab"]
    asked = evaluate(Repeat([CASES[0], *opened]), Echo(), data=tmp_path, progress=False)
    for field in ("metrics", "intervals", "details", "curves", "counts", "notes", "protocol"):
        assert getattr(found, field) == getattr(asked, field), field
    assert found.counts["quarantined"] == 1
    assert [one.predicted for one in found.predictions] == [{"text": row["text"]} for row in ROWS]
    assert found.model["predictions"] == str(tmp_path / "rows.jsonl")


def test_a_json_list_in_any_order_is_read_too(score):
    listed = score(text=json.dumps(ROWS[::-1], indent=1), name="rows.json")
    assert listed.metrics == score(ROWS).metrics
    assert [one.id for one in listed.predictions] == [row["id"] for row in ROWS]


def test_a_rare_line_end_in_a_text_does_not_split_its_row(score):
    rows = [{"id": ROWS[0]["id"], "text": "one\u2028two\x85"}, *ROWS[1:]]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert score(text=text).predictions[0].predicted == {"text": "one\u2028two\x85"}


def test_questions_without_a_row_count_as_missing(score):
    found = score(ROWS[1:])
    assert found.counts["missing"] == 1
    assert found.metrics["accuracy"] == pytest.approx(3 / 6)
    assert found.predictions[0].reason == "rows.jsonl has no prediction for it"


def test_our_own_predictions_score_as_they_did(tmp_path):
    cases = [case("a", "one", "two wrong", "three silent"), case("b", "one refuse", "two")]
    own = tmp_path / "run"
    first = evaluate(Repeat(cases), Echo(), data=tmp_path, progress=False, output=own)
    again = score_predictions(
        Repeat(cases), own / "predictions.jsonl", data=tmp_path, progress=False
    )
    assert again.metrics == first.metrics
    assert [one.predicted for one in again.predictions] == [
        one.predicted for one in first.predictions
    ]
    assert (again.counts["missing"], again.counts["failed"]) == (2, 0)


def test_our_own_predictions_for_other_questions_are_refused(tmp_path):
    own = tmp_path / "run"
    other = Repeat([case("c", "one silent")])  # answered by no prediction
    evaluate(other, Echo(), data=tmp_path, progress=False, output=own)
    with pytest.raises(InputError, match=r"answers 1 questions that .* does not ask .* 'c/one"):
        score_predictions(Repeat(CASES), own / "predictions.jsonl", data=tmp_path, progress=False)


def test_predictions_that_cannot_be_scored_leave_no_run_behind(score, tmp_path):
    class Unscored(Repeat):
        def score(self, item, predicted):
            raise InputError("the number of boxes is wrong")

    out = tmp_path / "out"
    with pytest.raises(InputError, match="number of boxes"):
        score(ROWS, bench=Unscored(CASES), output=out)
    assert not list(out.iterdir())
    assert score(ROWS, output=out).counts["missing"] == 0


def test_our_own_predictions_are_taken_as_they_are(tmp_path):
    class Timed(Repeat):
        """Takes complete files alone, and suspects frames behind late spans."""

        def read(self, item, answer, media):
            return None if "silent" in answer.text else {"text": item.text, "spans": [[0, 99]]}

        def expected(self, items):
            durations = {item.id: 10.0 for item in items}
            fields = {"text": "text", "spans": "spans"}
            return Expected(fields=fields, durations=durations, complete=True)

    bench, own = Timed([case("a", "one", "two silent")]), tmp_path / "run"
    first = evaluate(bench, Echo(), data=tmp_path, progress=False, output=own)
    path = own / "predictions.jsonl"
    assert score_predictions(bench, path, data=tmp_path, progress=False).metrics == first.metrics
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps({"id": row["id"], **row["predicted"]}) + "\n")
    with pytest.raises(InputError, match="'a/two silent' has no prediction"):
        score_predictions(bench, path, data=tmp_path, progress=False)


class Keyed(Repeat):
    """Rows name a question by a video and a number."""

    def expected(self, items):
        keys = {item.id: (item.id.split("/")[0], n % 3) for n, item in enumerate(items)}
        return Expected(fields={"text": "text"}, id_fields=("video", "number"), keys=keys)


def test_ids_may_be_others_than_the_questions_and_of_several_fields(score, tmp_path):
    rows = [
        {"video": name, "number": str(n), "text": text, "extra": 1}
        for name in "ab"
        for n, text in enumerate(TEXTS)
    ]
    found = score(rows, bench=Keyed(CASES))
    assert found.metrics == score(ROWS).metrics
    assert found.predictions[0].predicted == {"text": "one", "extra": 1}
    found.write(tmp_path / "own")
    again = score_predictions(
        Keyed(CASES), tmp_path / "own" / "predictions.jsonl", data=tmp_path, progress=False
    )
    assert again.metrics == found.metrics


def test_limit_scores_the_first_media_though_the_file_holds_all(score):
    found = score(ROWS, limit=2)
    assert (found.counts["media"], found.counts["questions"]) == (2, 3)
    assert found.limit == 2


def test_the_result_is_written_and_another_is_not_replaced(score, tmp_path):
    output = tmp_path / "out"
    found = score(ROWS, output=output)
    assert EvaluationResult.read(output) == replace(found, seconds=round(found.seconds, 2))
    assert sorted(path.name for path in output.iterdir()) == ["predictions.jsonl", "results.json"]
    with pytest.raises(InputError, match="holds a finished evaluation"):
        score(ROWS, output=output)
    assert score(ROWS[1:], output=output, overwrite=True).counts["missing"] == 1


def test_the_file_that_is_scored_is_not_replaced(score, tmp_path):
    with pytest.raises(InputError, match=r"would replace .*rows\.jsonl, which is scored"):
        score(ROWS, output=tmp_path, overwrite=True)
    assert (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"rows\.jsonl is empty"),
        ("\n \n", r"rows\.jsonl is empty"),
        ("[]", r"rows\.jsonl is empty"),
        ('{"id": 1}\n{"id"\n', r"rows\.jsonl:2 is not JSON"),
        ("[1, 2", r"rows\.jsonl is not JSON"),
        ("[1, 2]", r"holds 1 where a row should be; expected objects"),
        ("3\n", r"holds 3 where a row should be"),
    ],
)
def test_a_file_of_something_else_is_refused(score, text, message):
    with pytest.raises(InputError, match=message):
        score(text=text)


def test_a_file_that_cannot_be_read_is_refused(score, tmp_path):
    with pytest.raises(InputError, match=r"cannot read the predictions .*nowhere"):
        score_predictions(Repeat(CASES), tmp_path / "nowhere", data=tmp_path, progress=False)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read the predictions"):
        score_predictions(Repeat(CASES), tmp_path / "bytes", data=tmp_path, progress=False)


def test_the_first_ten_offenders_are_named(score):
    rows = [{"id": f"x{n}", "text": "t"} for n in range(11)] + [{"id": "a/one", "text": 3}]
    with pytest.raises(InputError) as caught:
        score(rows)
    message = str(caught.value)
    assert "rows.jsonl cannot be scored, 12 problems: " in message
    assert "row 1: 'x0' is no known id (they are like 'a/one')" in message
    assert "row 10: 'x9'" in message
    assert "'x10'" not in message
    assert "and 2 more" in message


def test_a_benchmark_that_reads_no_files_says_so(score):
    class Closed(Repeat):
        expected = Benchmark.expected

    with pytest.raises(InputError, match="benchmark repeat scores no file of predictions"):
        score(ROWS, bench=Closed(CASES))


def test_bad_arguments_are_refused(score, tmp_path):
    with pytest.raises(InputError, match="limit is 0"):
        score(ROWS, limit=0)
    with pytest.raises(UnknownName, match="tiny_world"):
        score_predictions("tiny_word", tmp_path / "x", data=tmp_path)
    with pytest.raises(InputError, match="none of the 1 records"):
        score(ROWS, bench=Repeat([CASES[0]]))
