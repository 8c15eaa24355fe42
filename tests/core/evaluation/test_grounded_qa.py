"""NExT-GQA's overlaps, denominators and table."""

from __future__ import annotations

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.grounded_qa import (
    grounded_qa,
    overlap_of,
    qa_by_type,
    span_of_fractions,
)


@pytest.mark.parametrize(
    ("window", "span", "iou", "iop"),
    [
        ((0, 4), (0, 8), 0.5, 0.5),
        ((0, 8), (0, 4), 0.5, 1.0),
        ((5, 9), (5, 5), 0.0, 1.0),
        ((5, 9), (9, 9), 0.0, 1.0),
        ((5, 9), (4, 4), 0.0, 0.0),
        ((0, 2), (4, 6), -1 / 3, -1.0),
        ((0, 9), (6, 4), -2 / 9, 0.0),
    ],
    ids=["half", "inside", "point", "point at the end", "point outside", "apart", "reversed"],
)
def test_overlap_of_one_moment(window, span, iou, iop) -> None:
    assert overlap_of(window, span) == pytest.approx((iou, iop))


def test_iou_and_iop_take_their_own_best_moment_and_acc_gqa_needs_iop() -> None:
    truth = {"v_0": [(0, 2), (3, 23)], "v_1": [(0, 10)]}
    said = {"v_0": (0, 4), "v_1": (0, 100)}
    found = grounded_qa(said, truth, {"v_0": True, "v_1": True})
    assert found.miop == pytest.approx((0.5 + 0.1) / 2)
    assert found.miou == pytest.approx((0.5 + 0.1) / 2)
    assert found.acc_gqa == 0.5
    assert grounded_qa(said, truth, {"v_0": False, "v_1": True}).acc_gqa == 0


def test_questions_without_a_span_leave_the_denominator_unless_strict() -> None:
    truth = {"v_0": [(0, 2)], "v_1": [(0, 2)]}
    official = grounded_qa({"v_0": (0, 2)}, truth, {"v_0": True})
    strict = grounded_qa({"v_0": (0, 2)}, truth, {"v_0": True}, strict=True)
    assert (official.count, official.acc_gqa, official.miou) == (1, 1.0, 1.0)
    assert (strict.count, strict.acc_gqa, strict.miou) == (2, 0.5, 0.5)
    with pytest.raises(InputError, match="none of 1 predicted spans is for one of 2 questions"):
        grounded_qa({"w_0": (0, 2)}, truth, {})
    with pytest.raises(InputError, match="1 questions have a span but no answer, such as v_0"):
        grounded_qa({"v_0": (0, 2)}, truth, {})


def test_fractions_are_rounded_to_tenths_of_a_second() -> None:
    assert span_of_fractions((0.333, 0.5), 10) == (3.3, 5.0)


def test_table_by_type() -> None:
    types = {"a": "CW", "b": "TP", "c": "TN"}
    counts = qa_by_type(types, {"a": True, "b": True, "c": False})
    assert (counts["TN"], counts["T"], counts["C"], counts["all"]) == (
        (1, 2), (1, 2), (1, 1), (2, 3),
    )  # fmt: skip
    with pytest.raises(InputError, match="2 of 3 questions have no answer"):
        qa_by_type(types, {"a": True})
    assert qa_by_type(types, {"a": True}, strict=True)["all"] == (1, 3)
    with pytest.raises(InputError, match="question a has the type 'XX'; known are TP, CW"):
        qa_by_type({"a": "XX"}, {"a": True})
