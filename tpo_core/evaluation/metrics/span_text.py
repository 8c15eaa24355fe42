"""Read a span from an answer in words, as VideoChat-Flash does on Charades-STA."""

from __future__ import annotations

import re

# In the prompt; an answer that repeats it must not score by it.
_EXAMPLE = "a specific example is : 20.8 - 30.0 seconds"
_RANGE = re.compile(r"(\d+\.*\d*)\s*-\s*(\d+\.*\d*)")
_NUMBER = re.compile(r"\b(\d+\.\d+\b|\b\d+)\b")
# Its longer keywords ("happens in", "start time", ...) all hold one of these.
_KEYWORDS = ("start", "end", "happen")


def parse_span(text: str) -> tuple[float, float] | None:
    """Return the span that an answer gives, by VideoChat-Flash's rules (`eval_tvg.py`).

    The first `a - b` counts, in seconds, its ends swapped if reversed. "to" is read as "-"
    everywhere, inside words too. Without one, the first number is taken of each sentence (up to a
    `!`, `?` or line break; a full stop ends none) that holds "start", "end" or "happen", and the
    first two of these are the span. Clock times are not understood: `00:00:18` is the number 0.

    Args:
        text: The model's answer.

    Returns:
        (start, end) in seconds; None where there is none, which the script scores with IoU 0 by
        putting a span 10 s after the right one.
    """
    text = text.lower().replace(_EXAMPLE, "").replace("to", "-")
    found = _RANGE.findall(text)
    if found:
        numbers = list(found[0])
    else:
        sentences = (s for s in re.split(r"[!?\n]", text) if any(word in s for word in _KEYWORDS))
        numbers = [number[0] for number in map(_NUMBER.findall, sentences) if number]
    try:
        first, second = float(numbers[0]), float(numbers[1])
    except (IndexError, ValueError):
        # "3..5" is no number; the script stops at it.
        return None
    return (first, second) if second > first else (second, first)
