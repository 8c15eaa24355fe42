"""Box accuracy against the values of the public RefCOCO evaluators."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.boxes import box_accuracy, box_iou

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics" / "refcoco_rec_A.json"
DATA = json.loads(GOLDEN.read_text(encoding="utf-8"))
TRUTH = [row["bbox"] for row in DATA["inputs"]]


@pytest.mark.parametrize("dialect", ["internvl", "qwen"])
def test_refcoco_iou_and_accuracy(dialect: str) -> None:
    expected = DATA["expected"][dialect]
    assert box_iou(expected["boxes"], TRUTH) == pytest.approx(expected["iou"], abs=1e-4)
    accuracy = box_accuracy(expected["boxes"], TRUTH)["acc@0.5"]
    assert 100 * accuracy == pytest.approx(expected["accuracy_percent"])


def test_normalised_boxes_as_lmms_eval() -> None:
    expected = DATA["expected"]["lmms_eval"]
    truth = [
        [x1 / row["width"], y1 / row["height"], x2 / row["width"], y2 / row["height"]]
        for row, (x1, y1, x2, y2) in zip(DATA["inputs"], TRUTH, strict=True)
    ]
    iou = box_iou([item["pred"] for item in expected], truth)
    assert iou == pytest.approx([item["iou"] for item in expected], abs=1e-6)


def test_a_missing_box_is_wrong_and_stays_in_the_denominator() -> None:
    box = (0.1, 0.1, 0.5, 0.5)
    figures = box_accuracy([box, None], [box, box], thresholds=(0.5, 0.75))
    assert figures == {"acc@0.5": 0.5, "acc@0.75": 0.5, "miou": 0.5}


def test_the_level_is_inclusive() -> None:
    assert box_accuracy([(0, 0, 1, 2)], [(0, 0, 1, 4)])["acc@0.5"] == 1


def test_reversed_and_empty_boxes_have_no_overlap() -> None:
    truth = (0.0, 0.0, 1.0, 1.0)
    assert box_iou([(1, 1, 0, 0), (0.5, 0.5, 0.5, 0.5)], [truth, truth]).tolist() == [0, 0]
    assert box_iou([(0.5,) * 4], [(0.5,) * 4]).tolist() == [0]


def test_no_question_gives_nan_and_uneven_lists_are_refused() -> None:
    assert math.isnan(box_accuracy([], [])["acc@0.5"])
    with pytest.raises(InputError, match="1 predicted boxes for 0 right ones"):
        box_accuracy([None], [])
