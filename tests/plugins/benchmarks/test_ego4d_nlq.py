"""Ego4D NLQ: recall of the official rule, what is asked of a clip, and the submission."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.moment_answers import (
    Scripted,
    answer,
    figures,
    moments,
    write_seconds,
)
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.temporal_cases import NLQ_QUERIES, nlq
from tpo_core.errors import InputError
from tpo_core.evaluation import evaluate, open_benchmark
from tpo_core.evaluation.metrics.moments import recall_at_k
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.records.quarantine import BadSample
from tpo_plugins.benchmarks.ego4d_nlq import Ego4dNlq


def queries(*windows):
    return [{"query": "Where?", "clip_start_sec": a, "clip_end_sec": b} for a, b in windows]


@pytest.fixture
def data(tmp_path):
    write_seconds(tmp_path / "v2" / "clips" / "clip-1.mp4", 10)
    asked = [*NLQ_QUERIES, {"query": "I want the lid", "clip_start_sec": 2, "clip_end_sec": 4}]
    return write(tmp_path, {"v2/annotations/nlq_val.json": nlq(*asked)})


def spans_of(rng, windows):
    """Return spans near windows and elsewhere, some with an IoU of exactly 0.5, some none."""
    found = []
    for number, (start, end) in enumerate(windows):
        shifts = rng.uniform(-3, 3, size=(rng.integers(0, 8), 2))
        spans = [[start + a, end + b] for a, b in shifts.tolist()]
        found.append([[start, start + (end - start) / 2], *spans] if number % 5 == 0 else spans)
    return found


@pytest.mark.parametrize("strict", [False, True])
def test_figures_are_those_of_the_official_rule(strict, tmp_path):
    rng = np.random.default_rng(3)
    windows = [[start, start + 4.0] for start in range(40)]
    spans = spans_of(rng, windows)
    write(tmp_path, {"nlq_val.json": nlq(*queries(*windows))})
    benchmark = Ego4dNlq(strict=strict)
    found = figures(benchmark, tmp_path, lambda item: {"predicted_times": spans[item.key[2]]})
    expected = recall_at_k(spans, windows, strict=strict)
    assert found == pytest.approx({name: 100 * value for name, value in expected.items()})
    assert not all(spans)
    assert found.keys() == set(benchmark.metrics)


def test_no_prediction_leaves_the_mean_unless_strict(tmp_path):
    write(tmp_path, {"nlq_val.json": nlq(*queries([0, 4], [5, 9]))})

    def half(item):
        return None if item.key[2] else {"predicted_times": [[0, 4]]}

    assert set(figures(Ego4dNlq(), tmp_path, half).values()) == {100.0}
    assert set(figures(Ego4dNlq(strict=True), tmp_path, half).values()) == {50.0}
    assert figures(Ego4dNlq(), tmp_path, lambda item: None) == {}
    row = {
        "clip_uid": "clip-1",
        "annotation_uid": "ann",
        "query_idx": 0,
        "predicted_times": [[0, 4]],
    }
    path = write(tmp_path, {"theirs.jsonl": [row]}) / "theirs.jsonl"
    notes = score_predictions("ego4d_nlq", path, data=tmp_path, progress=False).notes
    assert notes[-1].startswith("1 of 2 questions are left out of r1@0.3 by the official rule")


def test_an_iou_at_the_threshold_is_a_miss_in_figures_and_curves(data):
    item = Ego4dNlq().items(data)[2]
    score = Ego4dNlq().score(item, {"predicted_times": [[2, 3], [9, 10], [2, 4]]})
    assert item.truth == [2, 4]
    assert (score.values["r1@0.5"], score.values["r5@0.5"]) == ((0.0,), (1.0,))
    heights = dict(zip(Ego4dNlq.curves["r1"].x, score.curves["r1"], strict=True))
    assert (heights[0.45], heights[0.5]) == (1, 0)
    assert score.curves["r5"] == (*[1.0] * 20, 0.0)


def test_questions_keep_their_numbers_and_empty_windows_stay(data):
    benchmark = Ego4dNlq()
    bad, case = benchmark.cases(data)
    assert isinstance(bad, BadSample)
    assert "[0].clips[1].video_start_sec: Field required" in str(bad)
    assert benchmark.size(data) == 2
    assert case.media.endswith("v2/clips/clip-1.mp4")
    assert [(item.id, item.text, item.truth) for item in case.items] == [
        (
            "clip-1/ann/0",
            "Where was the red cup? Show the moment that answers this.",
            [31.2, 33.0],
        ),
        ("clip-1/ann/3", "Who? Show the moment that answers this.", [5.0, 5.0]),
        ("clip-1/ann/4", "I want the lid? Show the moment that answers this.", [2, 4]),
    ]


def test_missing_files_and_wrong_splits_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no nlq_val\.json was found in"):
        Ego4dNlq().size(tmp_path)
    with pytest.raises(InputError, match=r"no nlq_test_unannotated\.json was found in"):
        Ego4dNlq(split="test").size(tmp_path)
    with pytest.raises(InputError, match="split is 'train'; expected val or test"):
        Ego4dNlq(split="train")
    write(tmp_path, {"nlq_val.json": {"videos": [{"video_uid": "v"}, *nlq()["videos"]]}})
    errors = [str(case) for case in Ego4dNlq().cases(tmp_path)]
    assert "[0].clips: Field required" in errors[0]


def test_rows_of_a_file_are_those_of_a_submission(data, tmp_path):
    items = Ego4dNlq().items(data)
    rows = [
        {
            "clip_uid": "clip-1",
            "annotation_uid": "ann",
            "query_idx": item.key[2],
            "predicted_times": [item.truth],
        }
        for item in items
    ]
    path = write(tmp_path, {"theirs.jsonl": rows}) / "theirs.jsonl"
    result = score_predictions("ego4d_nlq", path, data=data, progress=False)
    # The empty window cannot be hit.
    assert result.metrics["r1@0.5"] == pytest.approx(2 / 3, abs=1e-6)
    exported = tmp_path / "submission.json"
    Ego4dNlq().export(result.predictions, data, exported)
    again = score_predictions("ego4d_nlq", exported, data=data, progress=False)
    assert again.metrics == result.metrics
    rows[0]["predicted_times"] = [[936, 990]]
    write(tmp_path, {"theirs.jsonl": rows})
    with pytest.raises(InputError, match="the video is 480 s long; are these frames"):
        score_predictions("ego4d_nlq", path, data=data, progress=False)


@pytest.mark.parametrize("strict", [False, True])
def test_the_test_split_has_a_submission_and_no_figures(strict, tmp_path):
    write_seconds(tmp_path / "clip-1.mp4", 10)
    annotations = nlq({"query": "Where?"}, {"query": ""}, {"query": "Who?"})
    write(tmp_path, {"nlq_test_unannotated.json": {"videos": annotations["videos"]}})
    benchmark = open_benchmark("ego4d_nlq_test", strict=strict)

    def reply(question):
        if question.text.startswith("Who"):
            return answer("Nobody.")
        return answer("", moments(*([start, 10, 0.5] for start in range(7))))

    result = evaluate(benchmark, Scripted(reply), data=tmp_path, progress=False)
    assert set(result.metrics.values()) == {None}
    assert (result.counts["answered"], result.counts["missing"]) == (1, 1)
    benchmark.export(result.predictions, tmp_path, tmp_path / "submission.json")
    key = {"clip_uid": "clip-1", "annotation_uid": "ann"}
    first = {**key, "query_idx": 0, "predicted_times": [[start, 10] for start in range(5)]}
    empty = {**key, "query_idx": 2, "predicted_times": [[0, 0]]}
    assert json.loads((tmp_path / "submission.json").read_text()) == {
        "version": "1.0",
        "challenge": "ego4d_nlq_challenge",
        "results": [first, empty] if strict else [first],
    }


def test_a_model_is_evaluated_and_the_result_can_be_loaded(data, tiny_model, tmp_path):
    out = tmp_path / "result"
    result = tpo.evaluate("ego4d_nlq", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["media"], result.counts["quarantined"]) == (2, 1)
    assert (result.counts["questions"], result.counts["failed"]) == (3, 0)
    written = json.loads((out / "results.json").read_text())
    assert written["metrics"] == dict(result.metrics)
    assert written["protocol"] == Ego4dNlq().protocol
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "ego4d_nlq")
    assert spec.metrics == tuple(result.metrics)
