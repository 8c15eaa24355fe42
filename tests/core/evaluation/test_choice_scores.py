"""Averages of multiple-choice answers, and the frames MVBench shows."""

from __future__ import annotations

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.choice_scores import INTERNVL_MMIU_TASKS, Count, choice_scores
from tpo_core.evaluation.metrics.mvbench_frames import mvbench_frames

VERDICTS = [("a", True), ("a", True), ("a", False), ("b", False), ("b", None), ("c", None)]


def test_micro_and_macro() -> None:
    micro = choice_scores(VERDICTS, averaging="micro")
    assert (micro.average, micro.overall) == (0.5, Count(2, 4))
    assert micro.groups == {"a": Count(2, 3), "b": Count(0, 1), "c": Count(0, 0)}
    macro = choice_scores(VERDICTS, averaging="macro")
    assert macro.average == pytest.approx((2 / 3 + 0) / 2)


def test_strict_counts_missing_choices_as_wrong() -> None:
    strict = choice_scores(VERDICTS, averaging="micro", strict=True)
    assert strict.average == pytest.approx(2 / 6)
    assert choice_scores(VERDICTS, averaging="macro", strict=True).average == pytest.approx(2 / 9)


def test_no_answer_at_all() -> None:
    assert choice_scores([("a", None)], averaging="micro").average == 0
    assert choice_scores([("a", None)], averaging="macro").average == 0
    with pytest.raises(InputError, match="no answer to score"):
        choice_scores([], averaging="micro")


def test_internvl_has_twenty_tasks_of_mmiu() -> None:
    assert len(set(INTERNVL_MMIU_TASKS)) == 20


def test_mvbench_frames_are_in_the_middle_of_equal_parts() -> None:
    assert mvbench_frames(None, fps=30, last=299, segments=2) == [74, 224]
    assert mvbench_frames((1, 2), fps=3, last=40, segments=3, first=1) == [3, 4, 5]
