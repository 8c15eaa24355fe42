"""MLVU: M-Avg over the seven tasks of the dev set, the official rule, what is left out."""

from __future__ import annotations

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.choice_answers import (
    GOLDEN,
    ROWS,
    bad_rows,
    items_of,
    score_texts,
    write_frames,
)
from tests.plugins.datasets.cases import write
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult
from tpo_core.evaluation.metrics.choices import mlvu_correct
from tpo_core.evaluation.named import open_benchmark
from tpo_plugins.benchmarks.mlvu import LEFT_OUT_TASKS, TASKS, Mlvu


def row(video="a.mp4", **more):
    return {
        "video": video,
        "duration": 480,
        "question": "What is put down?",
        "candidates": ["cup", "hat", "key", "pen"],
        "answer": "key",
        "question_type": "findNeedle",
        **more,
    }


def release(folder, rows):
    """Write every task's file, those without rows empty."""
    return write(folder, {f"MLVU/json/{task}.json": rows.get(task, []) for task in TASKS})


@pytest.fixture
def data(tmp_path):
    write_frames(tmp_path / "video" / "2_needle" / "a.mp4", 40)
    write_frames(tmp_path / "video" / "3_ego" / "a.mp4", 20)
    rows = {"2_needle": [row(), row(question="And then?"), row("lost.mp4")], "3_ego": [row()]}
    return release(tmp_path, rows)


def test_figures_are_those_of_the_official_script(tmp_path):
    numbered = {name: task for task, name in TASKS.items()}
    rows = {}
    texts = {}
    for one in ROWS:
        task = numbered[one["mlvu_task"]]
        of_task = rows.setdefault(task, [])
        texts[f"{task}/{len(of_task)}"] = one["pred"]
        of_task.append(row(candidates=one["candidates"], answer=one["answer"]))
    result = score_texts("mlvu", release(tmp_path, rows), texts)
    official = dict(GOLDEN["expected"]["mlvu_summary"])
    assert 100 * result.metrics["m_avg"] == pytest.approx(
        sum(official[task] for task in ("count", "ego", "plotQA")) / 3, abs=1e-4
    )
    assert 100 * result.metrics["m_avg"] == pytest.approx(official.pop("Avg"), abs=1e-4)
    for task, figure in official.items():
        assert 100 * result.details[task]["m_avg"]["mean"] == pytest.approx(figure, abs=1e-4)


def test_tasks_count_alike_whatever_their_size(data):
    texts = {"2_needle/0": "C", "2_needle/1": "A", "2_needle/2": "", "3_ego/0": "C) key"}
    result = score_texts("mlvu", data, texts)
    assert result.metrics["m_avg"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-6)
    assert result.counts["missing"] == 1
    assert (result.details["needle"]["m_avg"]["count"], result.details["ego"]["m_avg"]) == (
        3,
        {"mean": 1.0, "count": 1},
    )


def test_questions_and_videos(data):
    items = {item.id: item for item in items_of(Mlvu(), data)}
    first = items["2_needle/0"]
    assert first.text.endswith(
        "Question: What is put down?\nOptions:\n(A) cup\n(B) hat\n(C) key\n(D) pen"
        "\nOnly give the best option."
    )
    assert (first.kind, first.prefix, first.truth) == ("needle", "Best option:(", "(C) key")
    cases = list(Mlvu().cases(data))
    assert [len(case.items) for case in cases] == [2, 1, 1], "tasks use names of videos again"


def test_generation_tasks_are_named_as_left_out():
    assert set(Mlvu().protocol["left_out"]) == set(LEFT_OUT_TASKS) == {"8_sub_scene", "9_summary"}
    with pytest.raises(InputError, match="no strict variant"):
        open_benchmark("mlvu", strict=True)


def test_bad_rows_are_set_aside_and_a_missing_file_is_named(tmp_path):
    release(tmp_path, {"1_plotQA": [row(answer="shoe"), row(), row(video="")]})
    reasons = [str(bad) for bad in bad_rows(Mlvu(), tmp_path)]
    assert ["'shoe' is none of the options" in reasons[0], "video" in reasons[1]] == [True] * 2
    (tmp_path / "MLVU" / "json" / "5_order.json").unlink()
    with pytest.raises(InputError, match=r"5_order\.json was found"):
        Mlvu().size(tmp_path)


def test_a_model_is_evaluated(data, tiny_model, tmp_path):
    out = tmp_path / "out"
    result = tpo.evaluate("mlvu", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["questions"], result.counts["failed"]) == (4, 1)
    read = EvaluationResult.read(out)
    assert read.metrics == result.metrics
    for one in read.predictions:
        hit = one.answer is not None and mlvu_correct(one.answer, one.truth)
        assert one.scores["m_avg"] == (float(hit),)
