"""Boxes in words, as the evaluators of RefCOCO read them."""

from __future__ import annotations

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.box_text import box_text_accuracy, parse_box, square_padded

NOTHING = [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("dialect", "text", "box"),
    [
        ("internvl", "<box>[[100, 200, 300, 400]]</box>", [20, 20, 60, 40]),
        ("internvl", "[0.1, 0.2, 0.3, 0.4]", [20, 20, 60, 40]),
        ("internvl", "[[1, 1, 1, 1]]", [0.2, 0.1, 0.2, 0.1]),
        ("internvl", "[[1, 1, 1, 0.5]]", [200, 100, 200, 50]),
        ("internvl", "[[1, 2, 3]]", NOTHING),
        ("internvl", "[[a, b, c, d]]", NOTHING),
        ("qwen-vl", "<box>(0,0),(999,999)</box>", [0, 0, 200, 100]),
        ("qwen-vl", "(0,0),(999,999),(1,1)", [0, 0, 200, 100]),
        ("qwen-vl", "(1,2,3),(4,5)", NOTHING),
        ("qwen-vl", "(10,20)", NOTHING),
        ("asmv2", "<box>[[0, 0, 999, 999], [1, 1, 2, 2]]</box>", [0, 0, 200, 100]),
        ("asmv2", "[[0, 0, 999]]", NOTHING),
        ("asmv2", "[[0, 0, 999,]]", NOTHING),
        ("asmv2-square", "[[0, 0, 999, 999]]", [0, -50, 200, 150]),
        ("lmms-eval", "[0.1, 0.2,0.3,  0.4] or [0,0,1,1]", [0.1, 0.2, 0.3, 0.4]),
        ("lmms-eval", "[.1, .2, .3, .4]", NOTHING),
        ("shikra", "Answer: [0.100,0.200,0.300,0.400].", [0.1, 0.2, 0.3, 0.4]),
        ("shikra", "[0.1,0.2,0.3,0.4;0.5,0.6,0.7,0.8]", NOTHING),
        ("shikra", "[0.1,0.2,0.3,0.4] [0.5,0.6,0.7,0.8]", NOTHING),
        ("shikra", "[0.1, 0.2, 0.3, 0.4]", NOTHING),
    ],
)
def test_parse_box(dialect, text, box) -> None:
    assert parse_box(text, dialect, (200, 100)).tolist() == pytest.approx(box, abs=1e-4)


@pytest.mark.parametrize(
    ("dialect", "text", "hit"),
    [
        ("internvl", "[[0, 0, 1000, 500]]", True),
        ("lmms-eval", "[0, 0, 1, 0.5]", True),
        ("shikra", "[0,0,1,0.5]", False),
        ("shikra", "[0,0,1,0.501]", True),
    ],
)
def test_ties_hit_or_miss(dialect, text, hit) -> None:
    found = box_text_accuracy([text], [(0, 0, 100, 100)], [(100, 100)], dialect=dialect)
    assert found.hits.tolist() == [hit]
    assert found.accuracy == float(hit)


def test_answers_without_a_box_are_wrong_and_counted() -> None:
    right = "[[0, 0, 1000, 1000]]"
    found = box_text_accuracy(
        [right, "nowhere", ""], [(0, 0, 9, 9)] * 3, [(9, 9)] * 3, dialect="internvl"
    )
    assert found.hits.tolist() == [True, False, False]
    assert found.boxes.dtype == np.float32
    with pytest.raises(InputError, match="1 answers, 0 right boxes and 0 sizes"):
        box_text_accuracy([right], [], [], dialect="internvl")


def test_a_box_in_the_padded_square() -> None:
    assert square_padded((0, 0, 200, 100), (200, 100)) == (0, 50, 200, 150)
    assert square_padded((0, 0, 100, 201), (100, 201)) == (50, 0, 150, 201)
