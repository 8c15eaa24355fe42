"""MMIU: several pictures a question, answers that are a letter, the mean over tasks."""

from __future__ import annotations

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.choice_answers import (
    LETTERS,
    OFFICIAL,
    ROWS,
    bad_rows,
    items_of,
    score_texts,
)
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.released import write_picture
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult
from tpo_core.evaluation.metrics.choice_scores import choice_scores
from tpo_core.media.sampling import choose_frames
from tpo_plugins.benchmarks.mmiu import Mmiu

OPTIONS = "Select from the following choices.\nA: the first\nB: the second"


def row(task="person_reid", *, paths=("a/0.png", "a/1.png"), **more):
    return {
        "task": task,
        "visual_input_component": "['natural_image']",
        "source": "made",
        "options": "A: the first\nB: the second",
        "question": "Which one is it?",
        "context": OPTIONS,
        "input_image_path": [f"./High/{path}" for path in paths],
        "output": "B",
        **more,
    }


@pytest.fixture
def data(tmp_path):
    for path, size in (("a/0.png", (20, 30)), ("a/1.png", (40, 10)), ("b/0.png", (24, 24))):
        write_picture(tmp_path / "High" / path, size=size)
    rows = [
        row(),
        row("jigsaw_puzzle_solving"),
        row("jigsaw_puzzle_solving", paths=["b/0.png"], output="A"),
        row("jigsaw_puzzle_solving", paths=["b/0.png", "b/lost.png"]),
    ]
    return write(tmp_path, {"all.json": rows})


@pytest.mark.parametrize("strict", [False, True])
def test_figures_are_those_of_the_official_script(strict, tmp_path):
    rows, texts, verdicts = [], {}, []
    for number, (one, official) in enumerate(zip(ROWS, OFFICIAL, strict=True)):
        task = one["mlvu_task"]
        rows.append(row(task, output=one["gold_letter"]))
        texts[f"{task}/{number}"] = one["pred"]
        # The script takes an empty output for Z, which is wrong; the set leaves it open.
        right = official["mmiu_correct"] if one["pred"].strip() else False
        verdicts.append((task, right))
    write(tmp_path, {"all.jsonl": rows})
    assert {right for _, right in verdicts} == {True, False, None}
    found = score_texts(Mmiu(strict=strict), tmp_path, texts)
    expected = choice_scores(verdicts, averaging="macro", strict=strict)
    assert found.metrics["accuracy"] == pytest.approx(expected.average, abs=1e-6)
    for task, count in expected.groups.items():
        assert found.details[task]["accuracy"]["mean"] == pytest.approx(count.accuracy, abs=1e-6)
        assert found.details[task]["accuracy"]["count"] == count.answered
    resolved = sum(right is not None for _, right in verdicts) / len(ROWS)
    assert found.details["all"]["letter_found"]["mean"] == pytest.approx(resolved, abs=1e-6)


def test_what_is_no_letter_is_left_out_unless_strict(data):
    texts = dict.fromkeys((item.id for item in items_of(Mmiu(), data)), "the second")
    assert score_texts("mmiu", data, texts).metrics["accuracy"] is None
    assert score_texts(Mmiu(strict=True), data, texts).metrics["accuracy"] == 0.0
    texts["person_reid/0"] = "(b)."
    result = score_texts("mmiu", data, texts)
    assert result.metrics["accuracy"] == 1.0, "of one answer in four, as the counts show"
    assert result.counts["missing"] == 3
    assert result.details["all"]["letter_found"] == {"mean": 0.25, "count": 4}
    del texts["jigsaw_puzzle_solving/1"]
    assert score_texts("mmiu", data, texts).metrics["accuracy"] == 0.5
    official, strict = Mmiu().protocol, Mmiu(strict=True).protocol
    assert "left out" in official["answer_that_is_no_letter"]
    assert strict["answer_that_is_no_letter"].startswith("wrong")


def test_the_context_stands_where_the_official_prompt_has_it(data):
    texts = {item.kind: item.text for item in items_of(Mmiu(), data)}
    end = "\nPlease answer the option directly like A,B,C,D..."
    assert texts["person_reid"] == f"Which one is it?\n{OPTIONS}{end}"
    assert texts["jigsaw_puzzle_solving"] == f"{OPTIONS}\nWhich one is it?{end}"


def test_pictures_are_the_frames_of_one_item(data):
    cases = list(Mmiu().cases(data))
    assert [len(case.items) for case in cases] == [2, 1, 1]
    media = cases[0].load(choose_frames)
    assert (media.kind, media.indices, media.times.tolist()) == ("video", (0, 1), [0.0, 1.0])
    assert tuple(media.frames.shape) == (2, 3, 40, 30)
    assert media.notes == ()
    assert (media.frames[0, :, :20] == 90).all()
    assert not media.frames[0, :, 20:].any()
    assert (media.frames[1, :, :, :10] == 90).all()
    assert not media.frames[1, :, :, 10:].any()
    single = cases[1].load(choose_frames)
    assert (single.kind, single.size) == ("image", (24, 24))


def test_bad_rows_are_set_aside_and_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"all\.jsonl or all\.json or all\.parquet was found"):
        Mmiu().size(tmp_path)
    rows = [row(output=None), row(), row(input_image_path=[])]
    reasons = [str(bad) for bad in bad_rows(Mmiu(), write(tmp_path, {"all.jsonl": rows}))]
    assert ["output" in reasons[0], "input_image_path" in reasons[1]] == [True, True]


def test_a_model_is_evaluated(data, tiny_model, tmp_path):
    out = tmp_path / "out"
    result = tpo.evaluate(Mmiu(strict=True), tiny_model, data=data, progress=False, output=out)
    assert (result.counts["questions"], result.counts["failed"]) == (4, 1)
    assert "lost.png" in result.predictions[-1].reason
    read = EvaluationResult.read(out)
    assert read.metrics == result.metrics
    assert 0 <= read.metrics["accuracy"] <= 1
    assert {one.truth for one in read.predictions} < set(LETTERS)
