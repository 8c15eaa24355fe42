"""Moment retrieval figures against the values of the official evaluators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.moments import recall_at_1, recall_at_k, span_iou

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics"
CHARADES = json.loads((GOLDEN / "charades_sta_A.json").read_text(encoding="utf-8"))
QVHIGHLIGHTS = json.loads((GOLDEN / "qvhighlights_A.json").read_text(encoding="utf-8"))
LEVELS = [round(0.3 + 0.05 * step, 2) for step in range(14)]


def charades(*, with_empty: bool = False) -> tuple[list[Any], list[Any]]:
    rows = CHARADES["inputs"]["rows"]
    drop = {row["qid"] for row in rows if with_empty and row["qid"] % 8 == 6}
    return [[] if row["qid"] in drop else [row["pred"]] for row in rows], [
        [row["gt"]] for row in rows
    ]


def test_iou_of_each_charades_row() -> None:
    iou = [span_iou(row["pred"], row["gt"]) for row in CHARADES["inputs"]["rows"]]
    assert iou == pytest.approx(CHARADES["expected"]["iou"], abs=1e-12)


def test_charades_recall_and_mean_iou() -> None:
    figures = recall_at_1(*charades(), thresholds=LEVELS)
    expected = CHARADES["expected"]["tpo"]
    got = {str(level): round(100 * figures[f"r1@{level:g}"], 2) for level in LEVELS}
    assert got == expected["R1"]
    assert 100 * figures["miou"] == pytest.approx(CHARADES["expected"]["mean_iou_percent"])


def test_queries_without_a_span_are_misses() -> None:
    figures = recall_at_1(*charades(with_empty=True))
    expected = CHARADES["expected"]["with_empty"]
    for level in ("0.3", "0.5", "0.7"):
        assert 100 * figures[f"r1@{level}"] == pytest.approx(expected[f"R1@{level}"])


def test_the_best_of_several_moments_counts_as_on_qvhighlights() -> None:
    truth = {row["qid"]: row["relevant_windows"] for row in QVHIGHLIGHTS["inputs"]["ground_truth"]}
    rows = [row for row in QVHIGHLIGHTS["inputs"]["predictions"] if row["qid"] in truth]
    figures = recall_at_1(
        [row["pred_relevant_windows"] for row in rows],
        [truth[row["qid"]] for row in rows],
        thresholds=LEVELS,
    )
    expected = QVHIGHLIGHTS["expected"]["tpo_variant_report"]["full"]
    got = {str(level): round(100 * figures[f"r1@{level:g}"], 2) for level in LEVELS}
    assert got == expected["MR-R1"]


def test_only_the_first_span_counts() -> None:
    figures = recall_at_1([[(5.0, 6.0), (0.0, 2.0)]], [[(0.0, 2.0)]])
    assert figures == {"r1@0.3": 0.0, "r1@0.5": 0.0, "r1@0.7": 0.0, "miou": 0.0}


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ((0, 4), (0, 8), 0.5),
        ((0, 1), (1, 2), 0.0),
        ((0, 1), (5, 6), 0.0),
        ((2, 2), (0, 4), 0.0),
        ((3, 1), (0, 4), 0.0),
        ((2, 2), (2, 2), 0.0),
    ],
    ids=["half", "touching", "disjoint", "empty", "reversed", "both empty"],
)
def test_iou_corner_cases(a: tuple[float, float], b: tuple[float, float], iou: float) -> None:
    assert span_iou(a, b) == span_iou(b, a) == iou


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="1 predictions for 2 queries"):
        recall_at_1([[(0, 1)]], [[(0, 1)], [(0, 1)]])
    with pytest.raises(InputError, match="query 0 has no right moment"):
        recall_at_1([[(0, 1)]], [[]])


def test_a_tie_is_a_hit_but_for_2d_tan() -> None:
    said, truth = [[(0.0, 4.0)]], [[(0.0, 8.0)]]
    for variant in ("tpo", "timechat", "tall", "videochat-flash"):
        assert recall_at_1(said, truth, thresholds=(0.5,), variant=variant)["r1@0.5"] == 1
    assert recall_at_1(said, truth, thresholds=(0.5,), variant="2d-tan")["r1@0.5"] == 0


def test_ego4d_tries_k_spans_and_a_tie_is_a_miss() -> None:
    truth = [(0.0, 10.0), (0.0, 10.0), (0.0, 10.0)]
    said = [[(20.0, 30.0), (0.0, 10.0)], [(0.0, 3.0)], [(0.0, 6.0)]]
    figures = recall_at_k(said, truth)
    assert figures == pytest.approx(
        {"r1@0.3": 1 / 3, "r5@0.3": 2 / 3, "r1@0.5": 1 / 3, "r5@0.5": 2 / 3, "miou": 0.3}
    )


def test_ego4d_leaves_out_unanswered_queries_unless_strict() -> None:
    said, truth = [[(0.0, 10.0)], []], [(0.0, 10.0), (0.0, 10.0)]
    assert recall_at_k(said, truth)["r1@0.5"] == 1
    strict = recall_at_k(said, truth, strict=True)
    assert (strict["r1@0.5"], strict["miou"]) == (0.5, 0.5)
