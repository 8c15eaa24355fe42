"""Video-MME: the official counts, subtitles at the frames looked at, tables and response files."""

from __future__ import annotations

import json
import sys

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.choice_answers import (
    GOLDEN,
    bad_rows,
    items_of,
    score_texts,
    write_frames,
)
from tests.plugins.benchmarks.moment_answers import Scripted, answer
from tests.plugins.datasets.cases import write
from tpo_core.errors import InputError, MissingDependency
from tpo_core.evaluation import EvaluationResult, evaluate
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_plugins.benchmarks.subtitles import middle_times, on_screen, read_subtitles
from tpo_plugins.benchmarks.videomme import Videomme, VideommeSubtitles

# A video that is marked as missing leaves the official figures, which is no answer's merit.
GIVEN = [video for video in GOLDEN["inputs"]["videomme_items"] if not video["missing"]]
SRT = """1
00:00:00,000 --> 00:00:01,000
<font color="white" size=".72c">Hello</font>
there.

2
00:00:01,000 --> 00:00:01,200
Never on screen at a frame.

no times here

3
00:00:09,500 --> 00:00:12,000
{\\an8}Goodbye
"""


def row(video="aaa", number=1, **more):
    return {
        "video_id": "001",
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "Law",
        "url": f"https://example.org/{video}",
        "videoID": video,
        "question_id": f"{video}-{number}",
        "task_type": "OCR Problems",
        "question": f"What is {number}?",
        "options": ["A. red", "B. blue", "C. green", "D. none"],
        "answer": "B",
        **more,
    }


def golden_rows():
    return [
        {
            **{key: video[key] for key in ("video_id", "duration", "domain", "sub_category")},
            **{key: value for key, value in question.items() if key != "response"},
            "videoID": video["video_id"],
        }
        for video in GIVEN
        for question in video["questions"]
    ]


@pytest.fixture
def data(tmp_path):
    """Two videos of ten seconds with subtitles for the first, and a third that is lost."""
    write_frames(tmp_path / "data" / "aaa.mp4", 40)
    write_frames(tmp_path / "data" / "bbb.MP4", 12)
    rows = [
        row(number=1),
        row("bbb", video_id="002", duration="long", domain="Multilingual"),
        row(number=2, task_type="Counting Problem"),
        row("lost", video_id="003", duration="medium"),
    ]
    return write(tmp_path, {"videomme.jsonl": rows, "subtitle/aaa.srt": SRT})


def test_figures_are_those_of_the_official_script(tmp_path):
    write(tmp_path, {"videomme.json": golden_rows()})
    texts = {one["question_id"]: one["response"] for video in GIVEN for one in video["questions"]}
    result = score_texts("videomme", tmp_path, texts)
    counts = GOLDEN["expected"]["videomme"]["counts"]
    for name, official in (("overall", "all"), *((n, n) for n in ("short", "medium", "long"))):
        count = counts[official]
        assert result.metrics[name] == pytest.approx(count["correct"] / count["answered"], abs=1e-6)
        assert result.details["all"][name]["count"] == count["answered"]
    total = counts["all_questions_kept"]
    assert result.details["all"]["letter_found"]["count"] == total
    assert result.counts["missing"] == total - counts["all"]["answered"]
    strict = score_texts(Videomme(strict=True), tmp_path, texts)
    assert strict.metrics["overall"] == pytest.approx(counts["all"]["correct"] / total, abs=1e-6)


def test_details_are_by_domain_sub_category_and_task_type_too(data):
    texts = {"aaa-1": "B", "aaa-2": "A", "bbb-1": "B.", "lost-1": "no letter"}
    details = score_texts("videomme", data, texts).details
    for name, figure in (
        ("domain/Knowledge", {"mean": 0.5, "count": 2}),
        ("domain/Multilingual", {"mean": 1.0, "count": 1}),
        ("sub_category/Law", {"mean": pytest.approx(2 / 3, abs=1e-6), "count": 3}),
        ("task_type/Counting Problem", {"mean": 0.0, "count": 1}),
    ):
        assert details["all"][name] == figure
    assert details["short"]["overall"] == {"mean": 0.5, "count": 2}
    assert "overall" not in details["medium"], "the answer without a letter is left out"


def test_a_missing_prediction_is_wrong(data):
    result = score_texts("videomme", data, {"aaa-1": "B"})
    assert result.metrics == {"overall": 0.25, "short": 0.5, "medium": 0.0, "long": 0.0}
    assert result.counts["missing"] == 3


def test_the_question_is_put_as_the_readme_says(data):
    first = items_of(Videomme(), data)[0]
    assert first.text == (
        "Select the best answer to the following multiple-choice question based on the video. "
        "Respond with only the letter (A, B, C, or D) of the correct option.\nWhat is 1?\nA. red\n"
        "B. blue\nC. green\nD. none\nThe best answer is:"
    )


def test_subtitles_at_the_frames_stand_before_the_question(data):
    plain = {item.id: item.text for item in items_of(Videomme(), data)}
    found = {item.id: item.text for item in items_of(VideommeSubtitles(), data)}
    assert found["aaa-2"] == (
        "This video's subtitles are listed below:\nHello there.\nGoodbye\nSelect the best answer "
        "to the following multiple-choice question based on the video and the subtitles. Respond "
        "with only the letter (A, B, C, or D) of the correct option.\nWhat is 2?\nA. red\nB. blue\n"
        "C. green\nD. none\nThe best answer is:"
    )
    assert found["bbb-1"] == plain["bbb-1"], "a video without subtitles is asked about without"
    assert found["lost-1"] == plain["lost-1"]
    four = {item.id: item.text for item in items_of(VideommeSubtitles(num_frames=4), data)}
    assert four == plain, "none is on screen at four frames"


def test_subtitles_are_read_and_chosen_by_time(data):
    subtitles = read_subtitles(data / "subtitle" / "aaa.srt")
    assert [(one.start, one.end, one.text) for one in subtitles] == [
        (0.0, 1.0, "Hello there."),
        (1.0, 1.2, "Never on screen at a frame."),
        (9.5, 12.0, "Goodbye"),
    ]
    assert on_screen(subtitles, [0.2, 0.9, 1.2, 9.5]) == ["Hello there.", "Goodbye"]
    assert middle_times(data / "data" / "aaa.mp4", 4) == pytest.approx([1.25, 3.75, 6.25, 8.75])
    assert middle_times(data / "none.mp4", 4) == []
    with pytest.raises(InputError, match="cannot read"):
        read_subtitles(data / "none.srt")


def test_responses_go_to_the_official_layout_and_back(data, tmp_path):
    texts = {"aaa-1": "B", "aaa-2": "The answer is C", "bbb-1": "none"}
    result = score_texts("videomme", data, texts)
    folder = tmp_path / "responses"
    Videomme().export(result.predictions, data, folder / "videomme.json")
    videos = {one["video_id"]: one for one in json.loads((folder / "videomme.json").read_text())}
    assert [one["response"] for one in videos["001"]["questions"]] == ["B", "The answer is C"]
    assert videos["001"]["video_subcategory"] == "Law"
    assert videos["001"]["questions"][0]["choices"][0] == "A. red"
    assert [videos[name]["missing"] for name in ("001", "002", "003")] == [False, False, True]
    again = score_predictions("videomme", folder, data=data, progress=False)
    assert again.metrics == result.metrics
    assert again.counts == result.counts
    write(data, {"videomme.jsonl": [row()]})
    with pytest.raises(InputError, match="3 of 4 predictions are for no question of Video-MME"):
        Videomme().export(result.predictions, data, folder / "videomme.json")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "none"}, "holds no .json file"),
        ({"a.json": '[{"questions": [],}]'}, "cannot be read as Video-MME's responses"),
        ({"a.json": [{"question_id": "1"}]}, "questions"),
    ],
)
def test_a_folder_of_something_else_is_refused(data, tmp_path, files, message):
    folder = write(tmp_path / "other", files)
    with pytest.raises(InputError, match=message):
        score_predictions("videomme", folder, data=data, progress=False)


def test_bad_rows_are_set_aside(tmp_path):
    rows = [row(), row(), row(number=2, answer="E"), row(number=3, options=["A. x"])]
    write(tmp_path, {"videomme.jsonl": [*rows, "{broken"]})
    reasons = [str(bad) for bad in bad_rows(Videomme(), tmp_path)]
    assert [f"videomme.jsonl:{line}" in reason for line, reason in enumerate(reasons, 2)]
    assert "question aaa-1 is there twice" in reasons[0]
    assert "answer" in reasons[1]
    assert "options" in reasons[2]
    assert "not JSON" in reasons[3]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"videomme\.jsonl or .*parquet was found"):
        Videomme().size(tmp_path)


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write(tmp_path, {"videomme/test-00000-of-00001.parquet": b"PAR1"})
    with pytest.raises(MissingDependency, match=r"pip install 'tpo\[parquet\]'"):
        Videomme().size(tmp_path)


def test_the_released_table_gives_the_same_questions(data, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    lines = (data / "videomme.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    folder = tmp_path / "released"
    (folder / "videomme").mkdir(parents=True)
    path = folder / "videomme" / "test-00000-of-00001.parquet"
    write_table(pyarrow.Table.from_pylist([*rows, {**rows[0], "answer": None}]), path)
    cases = list(Videomme().cases(folder))
    assert [item.text for case in cases[1:] for item in case.items] == [
        item.text for item in items_of(Videomme(), data)
    ]
    assert ":5: answer" in str(cases[0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        Videomme().size(folder)


def test_questions_about_a_video_are_asked_together(data):
    truth = {"What is 1?": "A", "What is 2?": "B"}

    def reply(question):
        return answer(next(letter for words, letter in truth.items() if words in question.text))

    model = Scripted(reply)
    result = evaluate("videomme", model, data=data, progress=False)
    assert len(model.asked) == 3
    assert model.asked[0].media is model.asked[1].media
    assert len(model.asked[0].media.indices) == 16
    assert result.metrics == {"overall": 0.25, "short": 0.5, "medium": 0.0, "long": 0.0}
    assert result.counts["failed"] == 1


def test_a_model_is_evaluated(data, tiny_model, tmp_path):
    out = tmp_path / "out"
    result = tpo.evaluate("videomme_subtitles", tiny_model, data=data, progress=False, output=out)
    counts = result.counts
    assert (counts["media"], counts["questions"], counts["failed"]) == (3, 4, 1)
    read = EvaluationResult.read(out)
    assert read.metrics == result.metrics
    assert tuple(read.metrics) == Videomme.metrics
    assert "Goodbye" in {one.id: one.question for one in read.predictions}["aaa-2"]
    assert read.protocol == VideommeSubtitles().protocol != Videomme().protocol
