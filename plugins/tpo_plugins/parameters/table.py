"""Counting tensors by group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HEADINGS = ("group", "tensors", "elements")
# The backbone's groups, and what is added to it; heads follow.
_FIRST = ("vision", "connector", "llm", "buffers", "lora", "tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the table.

    Args:
        group: What the tensors belong to.
        tensors: How many there are.
        elements: How many numbers they hold.
    """

    group: str
    tensors: int
    elements: int


def rows_of(tensors: Iterable[tuple[str, Sequence[int]]]) -> list[Row]:
    """Add up tensors, given as group and shape; the backbone's groups first, others as met."""
    counted: dict[str, tuple[int, int]] = dict.fromkeys(_FIRST, (0, 0))
    for group, shape in tensors:
        number, elements = counted.get(group, (0, 0))
        counted[group] = number + 1, elements + math.prod(shape)
    return [
        Row(group=group, tensors=number, elements=elements)
        for group, (number, elements) in counted.items()
        if number
    ]


def total_of(rows: Iterable[Row]) -> Row:
    """Return the last line, which adds up the others."""
    kept = list(rows)
    return Row(
        group="total",
        tensors=sum(row.tensors for row in kept),
        elements=sum(row.elements for row in kept),
    )


def lines_of(rows: Sequence[Row]) -> list[str]:
    """Return the table as text, the total last, and what it takes in memory."""
    total = total_of(rows)
    cells = [_HEADINGS, *((r.group, f"{r.tensors:,}", f"{r.elements:,}") for r in (*rows, total))]
    first, second, third = (max(len(row[column]) for row in cells) for column in range(3))
    lines = [f"{a:<{first}}  {b:>{second}}  {c:>{third}}" for a, b, c in cells]
    halves, floats = (total.elements * size / 1e9 for size in (2, 4))
    return [*lines, f"{halves:.3g} GB in bfloat16, {floats:.3g} GB in float32"]
