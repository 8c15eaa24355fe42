"""Every metric against what the official code made of the same inputs, value by value.

`metric_sets` builds the whole tree of `expected` from the inputs of a set; the two trees are then
compared leaf by leaf, so nothing can be left out. Other sets than ours run by `TPO_GOLDEN_DIR`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parity.metric_sets import HANDLERS

HERE = Path(__file__).parents[1] / "golden"
FOLDER = Path(os.environ.get("TPO_GOLDEN_DIR", HERE)) / "metrics"
FILES = sorted(FOLDER.glob("*.json"))
Tree = Any


def tolerance(path: tuple[str, ...]) -> float:
    """Exact, but for pytracking: it counts in float32, and its errors are written with 8 digits."""
    if path[0] in ("pytracking", "pytracking_exclude_invalid_frames"):
        return 1e-9 if path[1] == "avg_overlap" else 1e-4
    if path[0] == "pytracking_frames" and path[2] == "center":
        return 5.01e-9
    return 1e-9


def leaves(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Yield every value of a tree with its path; empty lists and mappings are values too."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(tree, (list, tuple)) and len(tree):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, str(index)))
    else:
        yield path, tree


def plain(tree: Tree) -> Tree:
    """Return a tree with arrays as lists and tuples as lists."""
    if isinstance(tree, np.ndarray):
        return plain(tree.tolist())
    if isinstance(tree, dict):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(value) for value in tree]
    return tree.item() if isinstance(tree, np.generic) else tree


def at(tree: Tree, path: tuple[str, ...]) -> Tree:
    for key in path:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    return tree


def difference(ours: Tree, expected: Tree) -> float:
    """Return how far apart two values are, infinity for other kinds of values."""
    if isinstance(ours, float) and expected in ("inf", "-inf", "nan"):
        expected = float(expected)
    numbers = (int, float)
    if not isinstance(ours, numbers) or not isinstance(expected, numbers):
        return 0.0 if ours == expected and type(ours) is type(expected) else math.inf
    if isinstance(ours, bool) != isinstance(expected, bool):
        return math.inf
    if ours == expected or (math.isnan(ours) and math.isnan(expected)):
        return 0.0
    return abs(ours - expected) if math.isfinite(ours - expected) else math.inf


def handler_of(path: Path) -> Callable[[Tree, Tree], Tree]:
    names = [name for name in HANDLERS if path.stem.startswith(name)]
    assert len(names) == 1, f"no metric here answers to the set {path.name}"
    return HANDLERS[names[0]]


def test_there_are_sets_and_each_has_a_metric() -> None:
    assert FILES, f"no golden set in {FOLDER}"
    for path in FILES:
        assert handler_of(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_expected_value(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    ours = plain(handler_of(path)(data["inputs"], data))
    compared, wrong = set(), []
    for place, expected in leaves(data["expected"]):
        apart = difference(at(ours, place), expected)
        compared.add(place)
        if apart > tolerance(place):
            wrong.append(f"{'/'.join(place)}: {at(ours, place)!r}, expected {expected!r}")
    assert not wrong, f"{len(wrong)} of {len(compared)} values differ: " + "; ".join(wrong[:10])
    assert compared == {place for place, _ in leaves(data["expected"])}
    assert len(compared) == count(data["expected"])


def count(tree: Tree) -> int:
    """Count the values of a tree, otherwise than `leaves` does."""
    if isinstance(tree, (dict, list)) and tree:
        return sum(map(count, tree.values() if isinstance(tree, dict) else tree))
    return 1
