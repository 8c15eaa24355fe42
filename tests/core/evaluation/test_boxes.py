"""Box accuracy against the values of the public RefCOCO evaluators."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.boxes import (
    box_accuracy,
    box_giou,
    box_iou,
    ranked_box_accuracy,
)

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


def test_the_level_is_inclusive_unless_ties_miss() -> None:
    assert box_accuracy([(0, 0, 1, 2)], [(0, 0, 1, 4)])["acc@0.5"] == 1
    assert box_accuracy([(0, 0, 1, 2)], [(0, 0, 1, 4)], ties_miss=True)["acc@0.5"] == 0


def test_generalised_iou_equals_torchvision() -> None:
    import torch
    from torchvision.ops import generalized_box_iou

    corners = np.random.default_rng(0).random((2, 50, 2, 2))
    a, b = np.sort(corners, axis=2).reshape(2, 50, 4)
    expected = generalized_box_iou(torch.from_numpy(a), torch.from_numpy(b)).diagonal()
    assert box_giou(a, b) == pytest.approx(expected.numpy())


def test_boxes_in_float32_stay_so() -> None:
    box = np.array([[0, 0, 0.1, 0.3]], dtype=np.float32)
    assert box_iou(box, box).dtype == np.float32
    assert box_iou(box.tolist(), box.tolist()).dtype == np.float64


def test_mdetr_tries_the_boxes_with_the_highest_scores_by_generalised_iou() -> None:
    right, wrong = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    figures = ranked_box_accuracy(
        [[wrong, right], [right, wrong], []],
        [[0.9, 0.1], [0.9, 0.1], []],
        [right, right, right],
        ks=(1, 2),
    )
    assert figures == pytest.approx({"p@1": 1 / 3, "p@2": 2 / 3})
    # Half of the hull is empty: an IoU of 0.5 is a GIoU of 0.5 only if one holds the other.
    assert ranked_box_accuracy([[(0, 0, 10, 5)]], [[1.0]], [right], ks=(1,)) == {"p@1": 1.0}
    assert ranked_box_accuracy([[(0, 0, 14, 9)]], [[1.0]], [right], ks=(1,)) == {"p@1": 1.0}
    assert box_iou([(4, 0, 14, 9)], [right]) < 0.5


def test_reversed_and_empty_boxes_have_no_overlap() -> None:
    truth = (0.0, 0.0, 1.0, 1.0)
    assert box_iou([(1, 1, 0, 0), (0.5, 0.5, 0.5, 0.5)], [truth, truth]).tolist() == [0, 0]
    assert box_iou([(0.5,) * 4], [(0.5,) * 4]).tolist() == [0]


def test_no_question_gives_nan_and_uneven_lists_are_refused() -> None:
    assert math.isnan(box_accuracy([], [])["acc@0.5"])
    with pytest.raises(InputError, match="1 predicted boxes for 0 right ones"):
        box_accuracy([None], [])
