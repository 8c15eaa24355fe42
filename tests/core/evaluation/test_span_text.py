"""Spans in words, as VideoChat-Flash reads them."""

from __future__ import annotations

import pytest

from tpo_core.evaluation.metrics.span_text import parse_span


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("The event happens in the 24.3 - 30.4 seconds.", (24.3, 30.4)),
        ("From 3 to 12.5 seconds", (3.0, 12.5)),
        ("30.4 - 24.3", (24.3, 30.4)),
        ("1 - 2 and also 7 - 9", (1.0, 2.0)),
        ("It starts at 5 seconds.\nIt ends at 9.5 seconds.", (5.0, 9.5)),
        ("It starts at 5. It ends at 9.", None),
        ("starts at 5! stops at 9! ends at 8!", (5.0, 8.0)),
        ("starts at 00:00:18!\nends at 00:00:23", (0.0, 0.0)),
        ("A specific example is : 20.8 - 30.0 seconds", None),
        ("3..5 - 4", None),
        ("", None),
    ],
)
def test_parse_span(text: str, span: tuple[float, float] | None) -> None:
    assert parse_span(text) == span
