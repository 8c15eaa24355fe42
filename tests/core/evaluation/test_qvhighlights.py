"""What QVHighlights' report does with queries that lack spans, lengths and ids."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.qvhighlights import moment_map, qvhighlights_report

TRUTH = [
    {"qid": 1, "relevant_windows": [[0, 10], [20, 60]]},
    {"qid": 2, "relevant_windows": [[100, 104]]},
]
RIGHT = [{"qid": 1, "pred_relevant_windows": [[20, 60, 0.1], [0, 10, 0.9]]}]
EMPTY: list[dict[str, Any]] = [{"qid": 2, "pred_relevant_windows": []}]


def test_empty_lists_leave_the_mean_unless_strict() -> None:
    assert moment_map(RIGHT + EMPTY, TRUTH)["average"] == 100
    assert moment_map(RIGHT + EMPTY, TRUTH, strict=True)["average"] == 50
    report = qvhighlights_report(RIGHT + EMPTY, TRUTH, strict=True)
    assert report["brief"]["MR-full-R1@0.5"] == 50
    with pytest.raises(InputError, match=r"1 queries have no span \(qid 2\)"):
        qvhighlights_report(RIGHT + EMPTY, TRUTH)


def test_ranges_of_length_filter_right_moments_alone() -> None:
    report = qvhighlights_report(RIGHT, TRUTH[:1])
    # Only [0, 10] is left: the first span misses it, and comes after the other in the order of AP.
    assert report["short"]["MR-R1"]["0.5"] == 0
    assert report["short"]["MR-mAP"]["average"] == 100
    assert report["long"]["MR-R1"]["0.5"] == 100
    assert report["long"]["MR-mAP"]["average"] == 50
    assert math.isnan(report["middle"]["MR-mAP"]["average"])
    tpo = qvhighlights_report(RIGHT, TRUTH[:1], variant="tpo")
    assert tpo["middle"] == {
        "MR-mIoU": 0.0,
        "MR-mAP": dict.fromkeys(report["middle"]["MR-mAP"], 0.0),
        "MR-R1": dict.fromkeys(tpo["full"]["MR-R1"], 0.0),
    }


def test_ids_must_match_unless_that_is_switched_off() -> None:
    with pytest.raises(InputError, match="lack 1 qids of the ground truth and have 0"):
        qvhighlights_report(RIGHT, TRUTH)
    assert qvhighlights_report(RIGHT, TRUTH, match_ids=False)["full"]["MR-R1"]["0.95"] == 100
    with pytest.raises(InputError, match="1 qids occur more than once in predictions"):
        qvhighlights_report(RIGHT + RIGHT, TRUTH)
    with pytest.raises(InputError, match="another split"):
        qvhighlights_report(RIGHT, TRUTH[1:], match_ids=False)


def test_highlights_alone_can_be_scored() -> None:
    truth = [
        {"qid": 1, "duration": 4, "relevant_clip_ids": [1], "saliency_scores": [[2, 3, 4]]},
    ]
    report = qvhighlights_report([{"qid": 1, "pred_saliency_scores": [0.0, 1.0]}], truth)
    assert report["brief"]["HL-min-VeryGood-Hit1"] == 100
    assert report["HL-min-VeryGood"]["HL-mAP"] == 33.33
    assert "full" not in report
