"""Charades-STA: the figures of the official codes, what is asked, and what is read."""

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
from tpo_core.errors import InputError, MediaError
from tpo_core.evaluation import evaluate
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.media.sampling import choose_frames
from tpo_core.records.quarantine import BadSample
from tpo_plugins.benchmarks.charades_sta import CharadesSta, CharadesStaFinetuned

LINES = """\
AB12C 3.4 9.0##person opens a box.
CD34E 0.0 4.5##a person puts a book on a shelf.
AB12C 5.0 31.54##person closes it.
"""
FIRST = "When does this happen in the video: person opens a box?"


@pytest.fixture
def data(tmp_path):
    write_seconds(tmp_path / "Charades_v1_480" / "AB12C.mp4", 12)
    write_seconds(tmp_path / "Charades_v1_480" / "CD34E.mp4", 5)
    csv = "id,subject,script,length\nAB12C,X1,a,24.00\nCD34E,X2,b,unknown\n"
    return write(tmp_path, {"charades_sta_test.txt": LINES, "Charades_v1_test.csv": csv})


@pytest.mark.parametrize("benchmark", [CharadesSta(), CharadesStaFinetuned()], ids=lambda b: b.name)
def test_figures_are_those_of_the_official_codes(benchmark, tmp_path):
    released = golden("charades_sta")
    write(tmp_path, {"charades_sta_test.txt": released["inputs"]["annotation_txt"]})
    rows = {row["qid"]: row for row in released["inputs"]["rows"]}

    def predicted(item):
        return {"pred_relevant_windows": [[*rows[item.key]["pred"], 0.5], [0, 1, 0.9]]}

    found = figures(benchmark, tmp_path, predicted)
    expected = released["expected"]
    for level in ("0.3", "0.5", "0.7"):
        assert found[f"r1@{level}"] == pytest.approx(expected["inclusive"][f"R1@{level}"])
    assert found["miou"] == pytest.approx(expected["mean_iou_percent"], abs=1e-10)
    found = figures(benchmark, tmp_path, lambda it: None if it.key % 8 == 6 else predicted(it))
    for level in ("0.3", "0.5", "0.7"):
        assert found[f"r1@{level}"] == pytest.approx(expected["with_empty"][f"R1@{level}"])


def test_every_line_is_asked_with_its_raw_times_and_its_video_once(data):
    cases = list(CharadesSta().cases(data))
    assert [[item.id for item in case.items] for case in cases] == [["0", "2"], ["1"]]
    assert cases[0].items[0].text == FIRST
    assert cases[0].items[1].truth == [5.0, 31.54]
    assert cases[0].media.endswith("Charades_v1_480/AB12C.mp4")
    assert len(cases[0].load(choose_frames).indices) == 12
    assert CharadesSta().size(data) == 2


def test_no_more_frames_are_looked_at_than_the_protocol_says(data):
    benchmark = CharadesSta(num_frames=4)
    assert benchmark.protocol["num_frames"] == 4
    assert len(next(benchmark.cases(data)).load(choose_frames).indices) == 4


def test_bad_lines_are_quarantined_and_repeated_ones_kept(tmp_path):
    bad = [
        "AB12C one 2.0##text",
        "AB12C 1.0 2.0 no mark",
        "AB12C 1.0 2.0## . ",
        "AB12C 1.0 2.0##twice ## marked",
    ]
    write(tmp_path, {"charades_sta_test.txt": LINES + "\n".join(bad) + "\n" + LINES})
    benchmark = CharadesSta()
    cases = list(benchmark.cases(tmp_path))
    assert benchmark.size(tmp_path) == len(cases) == 6
    errors = [str(case) for case in cases if isinstance(case, BadSample)]
    assert "test.txt:4: start: 'one' is no number of seconds" in errors[0]
    assert "test.txt:5: 'AB12C 1.0 2.0 no mark' is no line of the form" in errors[1]
    assert "test.txt:6: the sentence is empty" in errors[2]
    assert "test.txt:7: 'AB12C 1.0 2.0##twice ## marked' is no line of the form" in errors[3]
    assert [item.id for item in cases[4].items] == ["0", "2", "7", "9"]


def test_missing_files_are_named_where_they_are_needed(tmp_path):
    with pytest.raises(InputError, match=rf"no charades_sta_test\.txt was found in {tmp_path} or"):
        CharadesSta().size(tmp_path)
    write(tmp_path, {"charades_sta_test.txt": LINES})
    case = next(CharadesSta().cases(tmp_path))
    with pytest.raises(MediaError, match=r"AB12C\.mp4"):
        case.load(choose_frames)


def test_the_first_span_of_the_first_slot_counts(data):
    benchmark = CharadesSta()
    item = next(benchmark.cases(data)).items[0]
    two = answer("", moments((3.4, 9, 0.2), (0, 1, 0.9)), moments((7, 8)))
    fields = benchmark.read(item, two, None)
    assert fields == {"pred_relevant_windows": [[3.4, 9, 0.2], [0, 1, 0.9]]}
    score = benchmark.score(item, fields)
    assert score.values["r1@0.7"] == score.values["miou"] == (1.0,)
    assert score.curves["recall"] == (1.0,) * 21
    assert benchmark.read(item, answer("At 3.4 - 9.0."), None) is None
    nothing = benchmark.score(item, None)
    assert nothing.missing == 1
    assert set(nothing.values.values()) == {(0.0,)}


def test_the_spans_of_a_real_head_are_read_with_their_scores(data, tiny_model):
    benchmark = CharadesSta()
    case = next(benchmark.cases(data))
    media = case.load(tiny_model.backbone.choose_frames)
    forced = tiny_model.predict(media, case.items[0].text, task="temporal")
    fields = benchmark.read(case.items[0], forced, media)
    spans = forced.results[0][1].spans
    assert fields["pred_relevant_windows"] == [[s.start, s.end, s.score] for s in spans]
    json.dumps(fields, allow_nan=False)


def test_models_without_a_head_can_answer_in_words_by_a_protocol_of_their_own(data):
    benchmark = CharadesSta(answers="words")
    assert "VideoChat-Flash" in benchmark.protocol["span"]
    assert benchmark.protocol["prompt"] != CharadesSta().protocol["prompt"]
    model = Scripted(lambda question: answer("From 3.4 to 9.0 seconds."), tasks=())
    result = evaluate(benchmark, model, data=data, progress=False)
    assert result.metrics["r1@0.7"] == pytest.approx(1 / 3, abs=1e-6)
    assert result.predictions[0].predicted == {"pred_relevant_windows": [[3.4, 9.0]]}
    assert model.asked[0].text.startswith(FIRST)
    silent = evaluate(benchmark, Scripted(lambda q: answer("No idea."), tasks=()), data=data)
    assert silent.counts["missing"] == 3
    with pytest.raises(InputError, match="answers is 'text'; expected head or words"):
        CharadesSta(answers="text")


def test_zero_shot_and_finetuned_differ_in_name_and_setting_alone():
    zero, tuned = CharadesSta(), CharadesStaFinetuned()
    different = {key for key in zero.protocol if zero.protocol[key] != tuned.protocol[key]}
    assert different == {"setting"}
    specs = {spec.name: spec.metrics for spec in tpo.list_benchmarks()}
    assert specs[zero.name] == specs[tuned.name] == zero.metrics
    ours = {
        bench.name: next(one.metrics for one in bench.published() if "TPO" in one.model)
        for bench in (zero, tuned)
    }
    assert ours["charades_sta"]["r1@0.5"] == 0.402
    assert ours["charades_sta_finetuned"]["r1@0.5"] == 0.65


def test_rows_of_a_file_are_known_by_their_line_and_checked_for_seconds(data, tmp_path):
    rows = [
        {"qid": item.key, "pred_relevant_windows": [item.truth]}
        for item in CharadesSta().items(data)
    ]
    path = write(tmp_path, {"theirs.jsonl": rows}) / "theirs.jsonl"
    assert score_predictions("charades_sta", path, data=data, progress=False).metrics["miou"] == 1
    rows[0] = {"qid": 0, "pred_relevant_windows": [[102, 270]]}
    write(tmp_path, {"theirs.jsonl": rows})
    with pytest.raises(InputError, match="the video is 24 s long; are these frames"):
        score_predictions("charades_sta", path, data=data, progress=False)


def test_a_model_is_evaluated_and_the_result_can_be_loaded(data, tiny_model, tmp_path):
    out = tmp_path / "result"
    result = tpo.evaluate("charades_sta", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["media"], result.counts["questions"]) == (2, 3)
    assert result.counts["failed"] == result.counts["no head"] == 0
    written = json.loads((out / "results.json").read_text())
    assert written["metrics"] == dict(result.metrics)
    assert written["protocol"] == CharadesSta().protocol


def test_a_missing_video_is_a_failed_question_and_stays_in_the_mean(data):
    (data / "Charades_v1_480" / "CD34E.mp4").unlink()
    truth = {item.text: item.truth for item in CharadesSta().items(data)}
    model = Scripted(lambda question: answer("", moments(truth[question.text])))
    result = evaluate("charades_sta_finetuned", model, data=data, progress=False)
    assert result.counts["failed"] == 1
    assert result.metrics["miou"] == pytest.approx(2 / 3, abs=1e-6)
