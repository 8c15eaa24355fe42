"""QVHighlights: the official report's figures, saliency by clip, and the submission."""

from __future__ import annotations

import json

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.moment_answers import (
    Scripted,
    answer,
    figures,
    golden,
    moments,
    write_seconds,
)
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.temporal_cases import QVHIGHLIGHTS_ROWS
from tpo_core.errors import InputError
from tpo_core.evaluation import evaluate, open_benchmark
from tpo_core.evaluation.metrics.qvhighlights import qvhighlights_report
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.records.quarantine import BadSample
from tpo_plugins.benchmarks.qvhighlights import QVHighlights

VIDEO = "AbCdEfGhIjK_60.0_70.0"
ROWS = [QVHIGHLIGHTS_ROWS[0], QVHIGHLIGHTS_ROWS[2]]
UNLABELLED = [{key: row[key] for key in ("qid", "query", "duration", "vid")} for row in ROWS]
GOLDEN = golden("qvhighlights")
OFFICIAL = {
    "map": "MR-full-mAP",
    "map@0.5": "MR-full-mAP@0.5",
    "map@0.75": "MR-full-mAP@0.75",
    "map_short": "MR-short-mAP",
    "map_middle": "MR-middle-mAP",
    "map_long": "MR-long-mAP",
    "r1@0.5": "MR-full-R1@0.5",
    "r1@0.7": "MR-full-R1@0.7",
    "hl_map": "HL-min-VeryGood-mAP",
    "hl_hit@1": "HL-min-VeryGood-Hit1",
    "hl_map_good": "HL-min-Good-mAP",
    "hl_hit@1_good": "HL-min-Good-Hit1",
    "hl_map_fair": "HL-min-Fair-mAP",
    "hl_hit@1_fair": "HL-min-Fair-Hit1",
}


@pytest.fixture
def released(tmp_path):
    return write(tmp_path, {"highlight_val_release.jsonl": GOLDEN["inputs"]["ground_truth"]})


@pytest.fixture
def data(tmp_path):
    write_seconds(tmp_path / "videos" / f"{VIDEO}.mp4", 10)
    return write(tmp_path, {"data/highlight_val_release.jsonl": ROWS})


def golden_rows(*, emptied=0):
    rows = [dict(row) for row in GOLDEN["inputs"]["predictions"]]
    for row in rows[:emptied]:
        row["pred_relevant_windows"] = []
    return {row["qid"]: row for row in rows}


def percent(found):
    return {name: round(value, 2) for name, value in found.items()}


def test_figures_are_those_of_the_official_report(released):
    rows = golden_rows()
    found = percent(figures(QVHighlights(), released, lambda item: rows[item.key]))
    brief = GOLDEN["expected"]["full_report"]["brief"]
    assert found == {name: brief[official] for name, official in OFFICIAL.items()}
    assert set(QVHighlights.metrics) <= set(found)


def test_curves_are_the_reports_tables(released):
    rows, benchmark = golden_rows(), QVHighlights()
    scores = [
        benchmark.score(item, rows[item.key])
        for case in benchmark.cases(released)
        for item in case.items
    ]
    full = GOLDEN["expected"]["full_report"]["full"]
    for name, table in (("ap", full["MR-mAP"]), ("recall", full["MR-R1"])):
        heights = zip(*(score.curves[name] for score in scores), strict=True)
        means = [round(100 * sum(each) / len(each), 2) for each in heights]
        curve = dict(zip(map(str, benchmark.curves[name].x), means, strict=True))
        assert {level: curve[level] for level in table if level in curve} == {
            level: value for level, value in table.items() if level != "average"
        }


def test_queries_with_an_empty_list_leave_map_unless_strict(released):
    rows = golden_rows(emptied=2)
    found = percent(figures(QVHighlights(), released, lambda item: rows[item.key]))
    expected = GOLDEN["expected"]["map_with_two_empty_queries"]
    assert (found["map"], found["map@0.5"], found["map@0.75"]) == (
        expected["average"],
        expected["0.5"],
        expected["0.75"],
    )
    strict = percent(figures(QVHighlights(strict=True), released, lambda item: rows[item.key]))
    report = qvhighlights_report(
        list(rows.values()), GOLDEN["inputs"]["ground_truth"], strict=True
    )["brief"]
    assert strict == {name: report[official] for name, official in OFFICIAL.items()}
    assert strict["map"] < found["map"]
    assert strict["r1@0.5"] == found["r1@0.5"]


def test_no_prediction_at_all_scores_0_everywhere(released):
    for benchmark in (QVHighlights(), QVHighlights(strict=True)):
        assert set(figures(benchmark, released, lambda item: None).values()) == {0.0}


def test_without_saliency_clips_are_equal_unless_strict(data):
    row = {"pred_relevant_windows": [[0, 2, 1.0]], "pred_saliency_scores": []}
    official = figures(QVHighlights(), data, lambda item: row)
    # Of the first query's five clips one is a highlight to all workers, of the second's none.
    assert official["hl_map"] == pytest.approx(100 * (1 / 5 + 0) / 2)
    assert official["hl_hit@1"] == 0
    assert figures(QVHighlights(strict=True), data, lambda item: row)["hl_map"] == 0


def test_saliency_is_interpolated_at_the_middles_of_whole_clips(data):
    benchmark = QVHighlights()
    item = benchmark.items(data)[0]
    found = moments((0, 2, 0.9), saliency={2.0: 0.0, 6.0: 1.0})
    assert benchmark.read(item, answer("", found), None) == {
        "qid": 9001,
        "query": "a chef slices onions",
        "vid": VIDEO,
        "pred_relevant_windows": [[0, 2, 0.9]],
        "pred_saliency_scores": [0.0, 0.25, 0.75, 1.0, 1.0],
    }
    silent = benchmark.read(item, answer("", moments((0, 2))), None)
    assert silent["pred_saliency_scores"] == []
    assert benchmark.read(item, answer("At 0 - 2 s."), None) is None


def test_an_odd_second_at_the_end_is_no_clip(tmp_path):
    row = {**ROWS[1], "duration": 11}
    write(tmp_path, {"highlight_val_release.jsonl": [row]})
    item = QVHighlights().items(tmp_path)[0]
    found = moments((0, 2), saliency={1.0: 0.5})
    fields = QVHighlights().read(item, answer("", found), None)
    assert fields["pred_saliency_scores"] == [0.5] * 5
    assert QVHighlights().score(item, fields).values["hl_hit@1_fair"] == (0.0,)


def test_what_a_real_head_gives_is_a_row_of_a_submission(data, tiny_model):
    benchmark = QVHighlights()
    case = next(benchmark.cases(data))
    media = case.load(tiny_model.backbone.choose_frames)
    forced = tiny_model.predict(media, case.items[0].text, task="temporal")
    row = json.loads(json.dumps(benchmark.read(case.items[0], forced, media), allow_nan=False))
    assert (len(row["pred_saliency_scores"]), len(set(row["pred_saliency_scores"]))) == (5, 5)
    assert set(benchmark.score(case.items[0], row).values) == set(OFFICIAL)


def test_bad_rows_are_quarantined(tmp_path):
    rows = [
        *QVHIGHLIGHTS_ROWS,
        {**ROWS[0], "qid": 1, "relevant_clip_ids": [0, 2, 5]},
        {**ROWS[0], "qid": 2, "saliency_scores": [[4, 4], [0, 1], [0, 0]]},
        ROWS[0],
        {**ROWS[0], "qid": 3, "query": " "},
    ]
    write(tmp_path, {"highlight_val_release.jsonl": rows})
    cases = list(QVHighlights().cases(tmp_path))
    errors = [str(case) for case in cases if isinstance(case, BadSample)]
    assert [error.split("jsonl:")[1].split(":")[0] for error in errors] == ["2", "4", "5", "6", "7"]
    assert "1 grades of 2 clips; expected a window and one row of grades a clip" in errors[0]
    assert "clips [0, 2, 5] of 5" in errors[1]
    assert "3 grades each" in errors[2]
    assert "question 9001 is there twice" in errors[3]
    assert [item.id for case in cases[5:] for item in case.items] == ["9001", "9003"]


def test_a_split_is_looked_for_and_its_labels_used_if_they_are_there(tmp_path):
    with pytest.raises(InputError, match=r"no highlight_val_release\.jsonl was found in"):
        QVHighlights().size(tmp_path)
    with pytest.raises(InputError, match="split is 'train'; expected val or test"):
        QVHighlights(split="train")
    write(tmp_path, {"highlight_val_release.jsonl": UNLABELLED})
    assert all(
        "has no windows, which every row of val has" in str(bad)
        for bad in QVHighlights().cases(tmp_path)
    )
    write(tmp_path, {"highlight_test_release.jsonl": UNLABELLED})
    assert [item.truth for item in QVHighlights(split="test").items(tmp_path)] == [None, None]
    write(tmp_path, {"highlight_test_with_gt.jsonl": ROWS})
    truth = QVHighlights(split="test").items(tmp_path)[0].truth
    assert truth["relevant_windows"] == [[0, 2], [4, 8]]


def test_a_file_is_a_submission_in_which_a_query_may_be_missing(data, tmp_path):
    row = {"qid": 9003, "pred_relevant_windows": [[8, 10, 1.0]], "pred_saliency_scores": [0.5] * 5}
    path = write(tmp_path, {"theirs.jsonl": [row]}) / "theirs.jsonl"
    result = score_predictions("qvhighlights", path, data=data, progress=False)
    assert (result.metrics["map"], result.counts["missing"]) == (0.5, 1)
    write(tmp_path, {"theirs.jsonl": [{**row, "pred_relevant_windows": [[0, 2]]}]})
    with pytest.raises(InputError, match=r"expected a list of \[start, end, score\]"):
        score_predictions("qvhighlights", path, data=data, progress=False)


def test_the_test_split_without_labels_has_a_submission_and_no_figures(tmp_path):
    write_seconds(tmp_path / f"{VIDEO}.mp4", 10)
    write(tmp_path, {"highlight_test_release.jsonl": UNLABELLED})
    benchmark = open_benchmark("qvhighlights_test")

    def reply(question):
        if "knife" in question.text:
            return answer("I see none.")
        return answer("", moments((1, 3.5, 0.5), saliency={5.0: 0.25}))

    result = evaluate(benchmark, Scripted(reply), data=tmp_path, progress=False)
    assert set(result.metrics.values()) == {None}
    assert (result.counts["answered"], result.counts["missing"]) == (1, 1)
    benchmark.export(result.predictions, tmp_path, tmp_path / "out" / "submission.jsonl")
    lines = (tmp_path / "out" / "submission.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            **{key: UNLABELLED[0][key] for key in ("qid", "query", "vid")},
            "pred_relevant_windows": [[1, 3.5, 0.5]],
            "pred_saliency_scores": [0.25] * 5,
        },
        {
            **{key: UNLABELLED[1][key] for key in ("qid", "query", "vid")},
            "pred_relevant_windows": [[0, 0, 0]],
            "pred_saliency_scores": [0] * 5,
        },
    ]


def test_an_exported_file_scores_as_the_answers_do(data):
    truth = {item.text: item.truth for item in QVHighlights().items(data)}

    def reply(question):
        if "knife" in question.text:
            return answer("I see none.")
        windows = truth[question.text]["relevant_windows"]
        return answer("", moments(*windows, saliency={1.0: 1.0, 3.0: 0.0}))

    out = data / "out"
    result = evaluate("qvhighlights", Scripted(reply), data=data, progress=False, output=out)
    again = score_predictions("qvhighlights", out / "predictions.jsonl", data=data, progress=False)
    assert again.metrics == result.metrics
    QVHighlights().export(result.predictions, data, data / "submission.jsonl")
    rows = [json.loads(line) for line in (data / "submission.jsonl").read_text().splitlines()]
    report = qvhighlights_report(rows, ROWS)["brief"]
    for name in ("map", "map@0.5", "map@0.75", "map_short", "r1@0.5", "r1@0.7"):
        assert round(100 * result.metrics[name], 2) == report[OFFICIAL[name]] == 50
    # No moment here is longer than 10 s.
    assert result.metrics["map_middle"] is result.metrics["map_long"] is None


def test_only_predictions_of_the_same_split_are_exported(data, tmp_path):
    result = evaluate(
        "qvhighlights", Scripted(lambda q: answer("", moments((0, 2)))), data=data, progress=False
    )
    write(tmp_path, {"highlight_test_release.jsonl": [{**UNLABELLED[0], "qid": 5}]})
    with pytest.raises(InputError, match=r"2 of 2 predictions are for no question of qvhighlights"):
        QVHighlights(split="test").export(result.predictions, tmp_path, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*out\.jsonl: .*; give a file in a folder"):
        QVHighlights().export(result.predictions, data, tmp_path / "file" / "out.jsonl")


def test_a_model_is_evaluated_and_the_result_can_be_loaded(data, tiny_model, tmp_path):
    out = tmp_path / "result"
    result = tpo.evaluate("qvhighlights", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["media"], result.counts["questions"]) == (1, 2)
    assert result.counts["failed"] == result.counts["no head"] == 0
    written = json.loads((out / "results.json").read_text())
    assert written["metrics"] == dict(result.metrics)
    assert written["protocol"] == QVHighlights().protocol
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "qvhighlights")
    assert spec.metrics == tuple(result.metrics)
