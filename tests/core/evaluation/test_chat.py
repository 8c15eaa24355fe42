"""Normalised exact match of short answers."""

from __future__ import annotations

import pytest

from tpo_core.evaluation.metrics.chat import exact_match, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The red circle.", "red circle"),
        ("  AN   orange, star! ", "orange star"),
        ("Three.", "3"),
        ("twenty-one", "20 1"),
        ("3.5 seconds.", "3.5 seconds"),
        ("It's blue", "its blue"),
        ("left_right", "left right"),
        ("a the an", ""),
        ("Anthem", "anthem"),
    ],
)
def test_normalise(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("predicted", "truth", "same"),
    [
        ("red circle", "The red circle.", True),
        ("3", "Three.", True),
        ("Yes", "No.", False),
        ("Yes yes", "Yes.", False),
        ("", "", False),
        ("The.", "A.", False),
    ],
)
def test_exact_match(predicted, truth, same):
    assert exact_match(predicted, truth) is same
