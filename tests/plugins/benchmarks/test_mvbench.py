"""MVBench: the official prompt, frames and rule; every task; parts of videos and folders."""

from __future__ import annotations

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.choice_answers import (
    ROWS,
    bad_rows,
    items_of,
    percent,
    score_texts,
    write_frames,
)
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.released import write_picture
from tpo_core.errors import InputError, MediaError
from tpo_core.evaluation import EvaluationResult
from tpo_core.evaluation.metrics.choice_scores import choice_scores
from tpo_core.evaluation.metrics.choices import gold_option, mvbench_answer, mvbench_correct
from tpo_core.evaluation.metrics.mvbench_frames import mvbench_frames
from tpo_core.media.sampling import choose_frames
from tpo_plugins.benchmarks.mvbench import BOUND, FOLDERS, Mvbench


def row(video="a.mp4", **more):
    return {
        "video": video,
        "question": "What happened?",
        "candidates": ["ate", "slept", "left"],
        "answer": "slept",
        **more,
    }


def release(folder, rows):
    """Write every task's file, those without rows empty."""
    return write(folder, {f"json/{task}.json": rows.get(task, []) for task in FOLDERS})


@pytest.fixture
def data(tmp_path):
    write_frames(tmp_path / "video" / "star" / "Charades_v1_480" / "a.mp4", 40)
    write_frames(tmp_path / "video" / "clevrer" / "video_validation" / "v.mp4", 20)
    write_frames(tmp_path / "video" / "perception" / "videos" / "v.mp4", 5)
    frames = tmp_path / "video" / "tvqa" / "frames_fps3_hq" / "show" / "clip"
    for number in range(1, 31):
        write_picture(frames / f"{number:05d}.jpg", size=(32, 32))
    return release(
        tmp_path,
        {
            "action_sequence": [row(start=2.5, end=7.0), row(start=2.5, end=7.0, question="Who?")],
            "moving_count": [row("v.mp4")],
            "action_count": [row("v.mp4")],
            "episodic_reasoning": [row("show/clip", start=1, end=8.0)],
        },
    )


@pytest.mark.parametrize("strict", [False, True])
def test_figures_are_those_of_the_official_rule(strict, tmp_path):
    tasks = ("action_sequence", "object_shuffle", "moving_count")
    names = {task.replace("_", " ").title(): task for task in tasks}
    rows = {task: [] for task in tasks}
    texts, verdicts = {}, []
    for one in ROWS:
        task = names[one["task_type"]]
        texts[f"{task}/{len(rows[task])}"] = one["pred"]
        rows[task].append(
            row(candidates=one["candidates"], answer=one["answer"], start=0.0, end=1.0)
        )
        gold = gold_option(one["candidates"], one["answer"])
        verdicts.append((task, mvbench_correct(mvbench_answer(one["pred"]), gold, strict=strict)))
    found = score_texts(Mvbench(strict=strict), release(tmp_path, rows), texts)
    official = choice_scores(verdicts, averaging="micro")
    assert found.metrics["accuracy"] == pytest.approx(official.average, abs=1e-6)
    for task, count in official.groups.items():
        mean = found.details[task]["accuracy"]
        assert mean["mean"] == pytest.approx(count.accuracy, abs=1e-6)
        assert mean["count"] == count.answered
    blank = [one for one in ROWS if not one["pred"].strip()]
    assert blank
    assert found.counts["missing"] == len(blank)


def test_an_empty_answer_is_right_officially_and_wrong_if_strict(data):
    texts = {item.id: " " for item in items_of(Mvbench(), data)}
    assert score_texts("mvbench", data, texts).metrics["accuracy"] == 1.0
    assert score_texts(Mvbench(strict=True), data, texts).metrics["accuracy"] == 0.0
    del texts["moving_count/0"]
    assert score_texts("mvbench", data, texts).metrics["accuracy"] == 0.8


def test_the_question_is_put_as_in_the_notebook(data):
    first = items_of(Mvbench(), data)[0]
    assert first.text.endswith(
        "addresses the question.\nQuestion: What happened?\nOptions:\n(A) ate\n(B) slept\n(C) left"
        "\nOnly give the best option."
    )
    assert first.prefix == "Best option:("
    assert (first.kind, first.truth) == ("action_sequence", "(B) slept")


def test_frames_are_the_official_ones(data):
    cases = {case.items[0].kind: case for case in Mvbench().cases(data)}
    assert [item.id for item in cases["action_sequence"].items] == [
        "action_sequence/0",
        "action_sequence/1",
    ]
    expected = {
        "action_sequence": mvbench_frames((2.5, 7.0), fps=4.0, last=39, segments=16),
        "moving_count": mvbench_frames(None, fps=4.0, last=19, segments=16),
        "action_count": mvbench_frames(None, fps=4.0, last=4, segments=16),
    }
    for kind, frames in expected.items():
        media = cases[kind].load(choose_frames)
        assert list(media.indices) == frames
        brightness = media.frames.float().mean((1, 2, 3)) / 5
        assert brightness.round().int().tolist() == pytest.approx(frames, abs=1)
    assert len(set(expected["action_count"])) < 16, "a short video shows frames again"
    folder = cases["episodic_reasoning"].load(choose_frames)
    numbers = mvbench_frames((1, 8.0), fps=3.0, last=30, segments=16, first=1)
    assert [index + 1 for index in folder.indices] == numbers
    assert folder.times[0] == pytest.approx(folder.indices[0] / 3)
    assert len(cases["moving_count"].load(choose_frames).indices) == 16


def test_a_part_beyond_the_video_cannot_be_shown(data):
    release(data, {"action_prediction": [row(start=50.0, end=60.0)]})
    (case,) = Mvbench().cases(data)
    with pytest.raises(MediaError, match=r"the part from 50.0 to 60.0 s lies beyond"):
        case.load(choose_frames)


def test_bad_rows_are_set_aside(tmp_path):
    release(
        tmp_path,
        {
            "state_change": [row(answer="danced"), row(), row(candidates=["one"])],
            "action_sequence": [row(end=3.0)],
        },
    )
    reasons = [str(bad) for bad in bad_rows(Mvbench(), tmp_path)]
    assert len(reasons) == 3
    assert "action_sequence.json" in reasons[0]
    assert "start" in reasons[0]
    assert "the answer 'danced' is none of the options" in reasons[1]
    assert "candidates" in reasons[2]


def test_a_missing_file_is_named(tmp_path):
    release(tmp_path, {})
    (tmp_path / "json" / "vain.json").write_text("[]")
    (tmp_path / "json" / "action_antonym.json").unlink()
    with pytest.raises(InputError, match=r"action_antonym\.json was found"):
        Mvbench().size(tmp_path)


def test_the_protocol_pins_what_figures_depend_on():
    assert len(FOLDERS) == 20
    assert set(FOLDERS) > BOUND
    official, strict = Mvbench().protocol, Mvbench(strict=True).protocol
    assert official["num_frames"] == 16
    assert {name for name in official if official[name] != strict[name]} == {
        "strict",
        "empty_answer",
    }
    assert Mvbench(num_frames=8).protocol != official


def test_a_model_is_evaluated(data, tiny_model, tmp_path):
    release(
        data,
        {
            "action_sequence": [row(start=2.5, end=7.0), row("lost.mp4", start=0.0, end=1.0)],
            "action_count": [row("v.mp4")],
            "episodic_reasoning": [row("show/clip", start=1, end=8.0)],
        },
    )
    out = tmp_path / "out"
    result = tpo.evaluate("mvbench", tiny_model, data=data, progress=False, output=out)
    counts = result.counts
    assert (counts["media"], counts["questions"], counts["failed"]) == (4, 4, 1)
    assert result.details["all"]["accuracy"]["count"] == 4, "a lost video stays in the denominator"
    read = EvaluationResult.read(out)
    assert read.metrics == result.metrics
    for one in read.predictions:
        if one.status != "failed":
            gold = one.truth
            assert one.prefix == "Best option:("
            hit = mvbench_correct(mvbench_answer(one.answer), gold)
            assert one.scores["accuracy"] == (float(hit),)
    assert percent(one.scores["accuracy"][0] == 1 for one in read.predictions) == pytest.approx(
        100 * result.metrics["accuracy"]
    )
