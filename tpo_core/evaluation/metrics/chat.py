"""Exact match of short answers in words, after normalisation. Free of torch.

The normalisation is SQuAD's (Rajpurkar et al., EMNLP 2016: lower case, no punctuation, no articles,
single spaces), and number words become digits, as in the VQA evaluation (Antol et al., ICCV 2015).
"""

from __future__ import annotations

import re

ARTICLES = frozenset({"a", "an", "the"})
# fmt: off
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)
# fmt: on
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS)}
# A point between digits is a decimal point; an apostrophe joins, everything else separates.
_PUNCTUATION = re.compile(r"(?<!\d)\.|\.(?!\d)|[^\w\s.]|_")


def normalise(text: str) -> str:
    """Bring an answer to the form in which answers are compared.

    Args:
        text: An answer, such as `"The red circle."` or `"Three."`.

    Returns:
        Lower-case words and digits with single spaces between, such as `"red circle"` or `"3"`.
    """
    words = _PUNCTUATION.sub(" ", re.sub(r"['’]", "", text.lower())).split()
    return " ".join(NUMBER_WORDS.get(word, word) for word in words if word not in ARTICLES)


def exact_match(predicted: str, truth: str) -> bool:
    """Tell whether two answers are the same once normalised; an empty prediction never is.

    Args:
        predicted: What the model said.
        truth: The label.
    """
    said = normalise(predicted)
    return bool(said) and said == normalise(truth)
