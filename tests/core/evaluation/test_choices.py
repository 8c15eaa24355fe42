"""What each benchmark takes for a choice."""

from __future__ import annotations

import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.choices import (
    gold_option,
    internvl_mmiu_choice,
    mlvu_correct,
    mmiu_choice,
    mmiu_correct,
    mmiu_options,
    mvbench_answer,
    mvbench_correct,
    options_prompt,
    seed_bench_choice,
    videomme_choice,
)

GOLD = "(B) walks away"


def test_prompt_and_gold() -> None:
    prompt = options_prompt("What happens?", ["red", "walks away"])
    assert prompt == "Question: What happens?\nOptions:\n(A) red\n(B) walks away"
    assert gold_option(["walks away", "red", "walks away"], "walks away") == "(C) walks away"
    with pytest.raises(InputError, match="the answer 'blue' is none of the options"):
        gold_option(["red"], "blue")


@pytest.mark.parametrize(
    ("answer", "official", "strict"),
    [
        ("B", True, True),
        ("b.", True, True),
        ("(B) walks", True, True),
        ("(b)walks", True, True),
        ("", True, False),
        ("(", True, False),
        (")", True, False),
        ("...", True, False),
        (" A", True, False),
        ("A", False, False),
        ("walks away", False, False),
        ("Answer: (B)", False, False),
    ],
)
def test_mvbench(answer: str, official: bool, strict: bool) -> None:
    assert mvbench_correct(answer, GOLD) is official
    assert mvbench_correct(answer, GOLD, strict=True) is strict


def test_mvbench_takes_the_first_line_behind_the_bracket() -> None:
    assert mvbench_answer(" B) walks away\nbecause") == "(B) walks away"
    assert mvbench_correct(mvbench_answer("B"), GOLD, strict=True)
    assert not mvbench_correct(mvbench_answer(""), GOLD, strict=True)
    assert mvbench_correct("Answer: B", GOLD, variant="internvl")


@pytest.mark.parametrize(
    ("output", "right"),
    [("B", True), ("(B) x", True), ("Answer: (B)", True), ("b", False), ("B.", False),
     (")B", False), ("", False), ("B. a (red) one", False)],
)  # fmt: skip
def test_mlvu(output: str, right: bool) -> None:
    assert mlvu_correct(output, GOLD) is right


@pytest.mark.parametrize(
    ("output", "letter"),
    [("The best answer is C.", "C"), ("Answer: (D)", "D"), ("Best option: (A", "B"), ("b", ""),
     ("E", ""), ("All of it, so C", "A"), ("", "")],
)  # fmt: skip
def test_video_mme(output: str, letter: str) -> None:
    assert videomme_choice(output) == letter


def test_seed_bench_2_takes_the_first_character() -> None:
    assert [seed_bench_choice(text) for text in (" C. x", "(C)", "")] == ["C", "(", ""]


@pytest.mark.parametrize(
    ("output", "choice"),
    [("(B).", "B"), ("c", "c"), ("n", "n"), ("O", None), ("B: red", None), ("", "Z"),
     ("image error", "Z"), ("B\u00a0", "B"), ("(", None)],
)  # fmt: skip
def test_mmiu(output: str, choice: str | None) -> None:
    assert mmiu_choice(output) == choice


def test_mmiu_compares_without_case() -> None:
    assert mmiu_correct("b", " B ")
    assert not mmiu_correct("Z", "B")
    assert mmiu_correct("", "B")
    assert not mmiu_correct("", "B", strict=True)


def test_mmiu_by_internvl() -> None:
    options = mmiu_options("A: left\nB: right\nno letter")
    assert options == {"A": "left", "B": "right", "C": "no letter"}
    outputs = ("B", "B: left", "to the right", "x", "nothing", "")
    assert [internvl_mmiu_choice(text, options) for text in outputs] == [
        "B", "B", "B", "x", "nothing", "",
    ]  # fmt: skip
