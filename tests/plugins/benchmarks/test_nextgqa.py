"""NExT-GQA: the official codes' figures, the two questions, and how both are scored together."""

from __future__ import annotations

import csv
import io
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
from tpo_core.errors import InputError
from tpo_core.evaluation import evaluate
from tpo_core.evaluation.metrics.grounded_qa import grounded_qa
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.records.quarantine import BadSample
from tpo_plugins.benchmarks.nextgqa import NextGqa

COLUMNS = "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
CSV = f"""{COLUMNS}
40100001,369,640,480,why did he run,to catch it,6,CW,to hide,to catch it,to eat,to catch it,to go
40100002,300,640,480,what did the girl do before that,wave,0,TP,wave,sit,stand,jump,sing
40100001,369,640,480,how is the ball moved,kicked,7,CH,thrown,rolled,kicked,"lifted, slowly",dropped
"""
GSUB = {
    "40100001": {"duration": 12, "location": {"6": [[2, 5.5], [8, 9]], "7": [[0, 4]]}, "fps": 30},
    "40100002": {"duration": 5, "location": {"0": [[1, 3]]}, "fps": 29.97},
}
GOLDEN = golden("nextgqa")
TRUTH = {
    f"{video}_{qid}": windows
    for video, row in GOLDEN["inputs"]["gsub"].items()
    for qid, windows in row["location"].items()
}


@pytest.fixture
def data(tmp_path):
    write_seconds(tmp_path / "NExTVideo" / "0001" / "40100001.mp4", 12)
    write_seconds(tmp_path / "NExTVideo" / "0002" / "40100002.mp4", 5)
    return write(tmp_path, {"nextgqa/test.csv": CSV, "nextgqa/gsub_test.json": GSUB})


@pytest.fixture
def released(tmp_path):
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS.split(","))
    writer.writeheader()
    writer.writerows(GOLDEN["inputs"]["csv_rows"])
    files = {"test.csv": text.getvalue(), "gsub_test.json": GOLDEN["inputs"]["gsub"]}
    return write(tmp_path, files)


def golden_row(item, *, without=()):
    key = item.id.rpartition("/")[0]
    chosen = GOLDEN["inputs"]["pred_qa"][key]["prediction"]
    spans = [] if key in without else [GOLDEN["inputs"]["pred_ground"][key], [0, 1]]
    return {"choice": "ABCDE"[chosen], "spans": spans}


@pytest.mark.parametrize("expected", ["full", "without_one_prediction"])
def test_figures_are_those_of_the_official_codes(expected, released):
    without = [] if expected == "full" else [GOLDEN["inputs"]["removed_key"]]
    found = figures(NextGqa(), released, lambda item: golden_row(item, without=without))
    official = GOLDEN["expected"][expected]
    for name in ("Acc@GQA", "mIoP", "IoP@0.3", "IoP@0.5", "mIoU", "IoU@0.3", "IoU@0.5"):
        key = name.lower().replace("acc@", "acc_")
        assert found[key] == pytest.approx(official[name], abs=1e-10)
    assert found["acc_qa"] == pytest.approx(GOLDEN["expected"]["qa"]["Acc@QA"], abs=1e-10)
    assert found.keys() == set(NextGqa.metrics)


def test_kinds_are_the_types_of_the_official_table(released):
    items = NextGqa().items(released)
    counts = GOLDEN["expected"]["qa"]["per_type_count"]
    for kind in ("CW", "CH", "TN", "TC"):
        for what in ("choice", "moment"):
            assert sum(item.kind == f"{what}/{kind}" for item in items) == counts[kind]
    assert len(items) == 2 * counts["C"] + 2 * counts["T"]


def test_strict_keeps_questions_without_a_span(released):
    without = list(TRUTH)[::3]
    found = figures(NextGqa(strict=True), released, lambda it: golden_row(it, without=without))
    spans, answers = GOLDEN["inputs"]["pred_ground"], GOLDEN["inputs"]["pred_qa"]
    expected = grounded_qa(
        {key: span for key, span in spans.items() if key not in without},
        TRUTH,
        {key: one["prediction"] == one["answer"] for key, one in answers.items()},
        strict=True,
    )
    assert found["acc_gqa"] == pytest.approx(100 * expected.acc_gqa)
    assert found["miou"] == pytest.approx(100 * expected.miou)
    assert found["iop@0.5"] == pytest.approx(100 * expected.iop[0.5])
    assert set(figures(NextGqa(strict=True), released, lambda it: None).values()) == {0.0}
    assert figures(NextGqa(), released, lambda it: None) == {"acc_qa": 0.0}


def test_each_question_is_put_for_the_option_and_for_the_moment(data):
    cases = list(NextGqa().cases(data))
    assert [[item.id for item in case.items] for case in cases] == [
        ["40100001_6/choice", "40100001_6/moment", "40100001_7/choice", "40100001_7/moment"],
        ["40100002_0/choice", "40100002_0/moment"],
    ]
    choice, moment = cases[0].items[:2]
    assert choice.text == (
        "Question: why did he run?\nOptions:\n(A) to hide\n(B) to catch it\n(C) to eat\n"
        "(D) to catch it\n(E) to go\nGive the letter of the best option."
    )
    assert (choice.prefix, choice.tasks, choice.truth) == ("Best option: (", (), "B")
    assert moment.text == "why did he run? Show the moment that answers this."
    assert (moment.prefix, moment.tasks) == ("", ("temporal",))
    assert moment.truth == [[2, 5.5], [8, 9]]
    assert cases[0].media.endswith("NExTVideo/0001/40100001.mp4")
    assert NextGqa().size(data) == 2


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B) to catch it", "B"),
        (" C", "C"),
        ("(E) to sleep", "E"),
        ("D. because", "D"),
        ("A boy runs", None),
        ("Because of B", None),
        ("F)", None),
        ("b)", None),
        ("", None),
    ],
)
def test_the_letter_is_what_the_answer_begins_with(text, letter, data):
    item = NextGqa().items(data)[0]
    expected = None if letter is None else {"choice": letter, "spans": []}
    assert NextGqa().read(item, answer(text), None) == expected


def test_a_moment_counts_for_acc_gqa_only_with_the_right_option(data):
    case = next(NextGqa().cases(data))
    choice, moment = case.items[:2]
    span = {"spans": [[2, 5.5]]}
    for said, worth in (({"choice": "B"}, 1.0), ({"choice": "D"}, 0.0), (None, 0.0)):
        scores = NextGqa().score_case([choice, moment], [said, span])
        assert scores[0].values == {"acc_qa": (worth,)}
        assert scores[1].values["acc_gqa"] == (worth,)
        assert scores[1].values["miou"] == (1.0,)
    assert scores[0].missing == 1
    assert NextGqa().score(moment, span).values["acc_gqa"] == (0.0,)


def test_iou_and_iop_have_their_own_best_moment_and_curves(data):
    moment = next(NextGqa().cases(data)).items[1]
    score = NextGqa().score(moment, {"spans": [[4.5, 8.5]]})
    assert score.values["miop"] == (0.25,)
    assert score.values["miou"] == (1 / 6.5,)
    heights = dict(zip(NextGqa.curves["iop"].x, score.curves["iop"], strict=True))
    assert (heights[0.25], heights[0.3]) == (1, 0)
    assert sum(score.curves["iou"]) == 4


def test_bad_rows_are_quarantined(tmp_path):
    rows = CSV + (
        "40100002,300,640,480,who,nobody,1,CW,a,b,c,d,e\n"
        "40100002,300,640,480,who,a,2,CW,a,b,c,d,e\n"
        "40100002,300,640,480,who,a,0,XX,a,b,c,d,e\n"
        "40100003,300,640,480,who,a,0,CW,a,b,c,d,e\n"
        "40100002,300,640,480,who,a,0\n"
    )
    located = {**GSUB, "40100003": {"duration": 5}}
    located["40100002"]["location"]["1"] = [[0, 1]]
    write(tmp_path, {"test.csv": rows, "gsub_test.json": located})
    cases = list(NextGqa().cases(tmp_path))
    errors = [str(case) for case in cases if isinstance(case, BadSample)]
    assert len(cases) - len(errors) == 2
    assert NextGqa().size(tmp_path) == len(cases)
    for error, reason in zip(
        errors,
        [
            "gsub_test.json:3: 40100003.location: Field required",
            "test.csv:5: the answer 'nobody' is none of the options ['a', 'b', 'c', 'd', 'e']",
            "test.csv:6: gsub_test.json has no moment for question '2' of video '40100002'",
            "test.csv:7: type: Input should be 'CW'",
            "test.csv:8: gsub_test.json has no moment for question '0' of video '40100003'",
            "test.csv:9: the row has not the 13 columns",
        ],
        strict=True,
    ):
        assert reason in error


def test_missing_files_and_columns_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no gsub_val\.json was found in"):
        NextGqa(split="val").size(tmp_path)
    write(tmp_path, {"gsub_test.json": GSUB})
    with pytest.raises(InputError, match=r"no test\.csv was found in"):
        NextGqa().size(tmp_path)
    write(tmp_path, {"test.csv": "video_id,question\n"})
    with pytest.raises(InputError, match="has no column answer, qid, type, a0, a1, a2, a3, a4"):
        NextGqa().size(tmp_path)
    with pytest.raises(InputError, match="split is 'train'; expected val or test"):
        NextGqa(split="train")


def test_a_file_has_a_row_for_each_of_the_two(data, tmp_path):
    def row(name, choice, *spans):
        return {"id": name, "choice": choice, "spans": spans}

    rows = [
        row("40100001_6/choice", "B"),
        row("40100001_6/moment", "", [2, 5]),
        row("40100001_7/moment", "", [0, 4]),
        row("40100002_0/choice", "A"),
        row("40100002_0/moment", ""),
    ]
    path = write(tmp_path, {"theirs.jsonl": rows}) / "theirs.jsonl"
    result = score_predictions("nextgqa", path, data=data, progress=False)
    found = [result.metrics[name] for name in ("acc_qa", "acc_gqa", "miop")]
    assert found == pytest.approx([2 / 3, 1 / 2, 1], abs=1e-6)
    assert result.counts["missing"] == 2
    write(tmp_path, {"theirs.jsonl": [row("40100001_6/choice", "1")]})
    with pytest.raises(InputError, match="40100001_6 has the choice '1'; expected a letter from A"):
        score_predictions("nextgqa", path, data=data, progress=False)
    write(tmp_path, {"theirs.jsonl": [row("40100001_6/moment", "", [60, 165])]})
    with pytest.raises(InputError, match="the video is 12 s long; are these frames"):
        score_predictions("nextgqa", path, data=data, progress=False)


def test_answers_of_both_turns_come_together(data, tmp_path):
    truth = {item.text: item for item in NextGqa().items(data)}

    def reply(question):
        item = truth[question.text]
        if item.video == "40100002":
            return answer("I do not know.")
        if not item.tasks:
            return answer(f"{item.truth})")
        return answer("", moments(item.truth[0]))

    model = Scripted(reply)
    out = tmp_path / "out"
    result = evaluate("nextgqa", model, data=data, progress=False, output=out)
    again = score_predictions("nextgqa", out / "predictions.jsonl", data=data, progress=False)
    assert again.metrics == result.metrics
    assert result.metrics["acc_qa"] == pytest.approx(2 / 3, abs=1e-6)
    assert result.metrics["acc_gqa"] == 1.0
    assert result.counts["missing"] == 2
    strict = evaluate(NextGqa(strict=True), model, data=data, progress=False)
    assert strict.metrics["acc_gqa"] == pytest.approx(2 / 3, abs=1e-6)
    headless = evaluate("nextgqa", Scripted(reply, tasks=()), data=data, progress=False)
    assert (headless.counts["no head"], headless.metrics["acc_gqa"]) == (3, None)
    assert headless.metrics["acc_qa"] == result.metrics["acc_qa"]


def test_a_model_is_evaluated_and_the_result_can_be_loaded(data, tiny_model, tmp_path):
    out = tmp_path / "result"
    result = tpo.evaluate("nextgqa", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["media"], result.counts["questions"]) == (2, 6)
    assert result.counts["failed"] == result.counts["no head"] == 0
    written = json.loads((out / "results.json").read_text())
    assert written["metrics"] == dict(result.metrics)
    assert written["protocol"] == NextGqa().protocol
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "nextgqa")
    assert spec.metrics == tuple(result.metrics)
