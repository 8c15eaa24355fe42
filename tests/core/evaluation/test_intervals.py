"""Bootstrap intervals: equal to a plain loop, over media, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.evaluation.stand_ins import Echo, Repeat, case
from tpo_core.evaluation import evaluate
from tpo_core.evaluation import intervals as module
from tpo_core.evaluation.intervals import RESAMPLES, Totals, bootstrap_intervals


def totals(kinds, media=30, seed=1):
    chance = np.random.default_rng(seed)
    counts = chance.integers(0, 4, size=(media, kinds)).astype(float)
    return Totals(sums=counts * chance.random((media, kinds)), counts=counts)


def by_loop(total):
    """Draw media one by one, as the same generator does, and take the figure of each draw."""
    media = len(total.sums)
    chance = np.random.default_rng(0)
    figures = []
    for _ in range(RESAMPLES):
        drawn = chance.integers(media, size=media)
        sums, counts = total.sums[drawn].sum(0), total.counts[drawn].sum(0)
        figures.append(np.mean([s / c for s, c in zip(sums, counts, strict=True) if c]))
    return np.quantile(figures, [0.025, 0.975])


@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize("at_once", [30, 100, 10**6])
def test_intervals_equal_a_plain_loop_however_many_are_drawn_at_once(kinds, at_once, monkeypatch):
    monkeypatch.setattr(module, "_WEIGHTS_AT_ONCE", at_once)
    total = totals(kinds)
    found = bootstrap_intervals({"a": total, "b": total})
    assert found["a"] == found["b"] == pytest.approx(by_loop(total), abs=1e-6)


def test_the_interval_of_a_share_is_about_two_standard_errors():
    chance = np.random.default_rng(5)
    values = (chance.random((400, 1)) < 0.3).astype(float)
    low, high = bootstrap_intervals({"a": Totals(sums=values, counts=np.ones((400, 1)))})["a"]
    share = values.mean()
    error = np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - 1.96 * error, share + 1.96 * error), abs=0.006)


def test_fewer_than_two_media_with_a_value_have_no_interval():
    lonely = Totals(sums=np.array([[1.0], [0.0]]), counts=np.array([[2.0], [0.0]]))
    assert bootstrap_intervals({"a": lonely}) == {"a": None}
    assert bootstrap_intervals({}) == {}


def test_draws_without_any_value_are_left_out():
    rare = Totals(sums=np.zeros((50, 1)), counts=np.zeros((50, 1)))
    rare.sums[:2], rare.counts[:2] = 0.5, 1.0
    assert bootstrap_intervals({"a": rare}) == {"a": (0.5, 0.5)}


def test_media_are_drawn_not_questions(tmp_path):
    texts = [f"one {number}" for number in range(40)]
    wrong = [f"one wrong {number}" for number in range(40)]
    together = Repeat([case("a", *texts), case("b", *wrong)])
    apart = Repeat([case(text, text) for text in texts + wrong])
    wide = evaluate(together, Echo(), data=tmp_path, progress=False)
    narrow = evaluate(apart, Echo(), data=tmp_path, progress=False)
    assert wide.metrics["accuracy"] == narrow.metrics["accuracy"] == 0.5
    assert wide.intervals["accuracy"] == (0, 1)
    low, high = narrow.intervals["accuracy"]
    assert 0.35 < low < 0.45 < 0.55 < high < 0.65
    assert wide.intervals["other"] is None
    assert wide.to_json()["intervals"] == {"accuracy": [0, 1], "other": None}


def test_cases_about_one_media_item_are_one_draw(tmp_path):
    cases = [case("a", "one"), case("a", "two wrong"), case("a", "three")]
    result = evaluate(Repeat(cases), Echo(), data=tmp_path, progress=False)
    assert result.intervals["accuracy"] is None
