"""Read the choice from an answer to a multiple-choice question, as each benchmark's code does.

The rules differ a lot and some are lenient: see each function. `choice_scores` has the averages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Literal

from tpo_core.errors import InputError

MvbenchVariant = Literal["notebook", "internvl"]

# Of the phrases that the script drops only these hold a capital from A to D, so only these matter.
# The first is two in one, for want of a comma: "Best answer:" and "Best option:" alone stay.
_VIDEOMME_DROPPED: Final = ("Best answer:Best option:", "Answer:")
_MMIU_LETTERS: Final = frozenset(ascii_lowercase[:14])
_MMIU_ERRORS: Final = frozenset(
    {"", "image none", "image error", "model error", "model error or image error"}
)


def options_prompt(question: str, candidates: Sequence[str]) -> str:
    """Return a question with its options as MVBench and MLVU put it: `(A) ...` on a line each.

    Args:
        question: The question.
        candidates: The texts of the options.
    """
    options = "".join(f"({_letter(i)}) {text}\n" for i, text in enumerate(candidates))
    return f"Question: {question}\nOptions:\n{options}".rstrip()


def gold_option(candidates: Sequence[str], answer: str) -> str:
    """Return the right option as MVBench and MLVU compare it, such as `(B) walks away`.

    Args:
        candidates: The texts of the options.
        answer: The text of the right one; of equal options the last counts.

    Raises:
        InputError: If no option has the text (there the scripts go on with `(@)`).
    """
    places = [place for place, text in enumerate(candidates) if text == answer]
    if not places:
        raise InputError(
            f"the answer {answer!r} is none of the options {list(candidates)}; the row is damaged"
        )
    return f"({_letter(places[-1])}) {answer}"


def mvbench_answer(output: str) -> str:
    """Return what MVBench checks: the first line, behind the `(` that its prompt ends with.

    Args:
        output: What the model said after `Best option:(`.
    """
    return "(" + output.strip().split("\n")[0]


def mvbench_correct(
    answer: str, gold: str, *, variant: MvbenchVariant = "notebook", strict: bool = False
) -> bool:
    """Tell whether an answer is right on MVBench (`video_chat2/mvbench.ipynb`, `check_ans`).

    Of both only the first word counts, in lower case. The answer is right if its word, less full
    stops, is a *part of* `(b)`, or holds `(b)`: `b`, `B.`, `(b)` and `(b)cat` are right, and so
    are an empty answer, one that starts with a blank, `(` and `)`, whatever the gold. A text
    without the letter is wrong.

    Args:
        answer: See `mvbench_answer`.
        gold: See `gold_option`.
        variant: `internvl` (`eval/mvbench/evaluate_mvbench.py`) drops `Answer: ` first.
        strict: Also ask that the word holds the letter, so that nothing said is not right.
    """
    if variant == "internvl":
        answer = answer.replace("Answer: ", "")
    said, right = (text.lower().split(" ")[0] for text in (answer, gold))
    hit = said.replace(".", "") in right or right in said
    return hit and (not strict or right.strip("()") in said)


def mlvu_correct(output: str, gold: str) -> bool:
    """Tell whether an answer is right on MLVU (`multiple_choice_evaluation/choice_bench.py`).

    The character before the first `)`, or the whole output if there is none, must be the letter,
    in upper case: `B.` and `b` are wrong, and a `)` in what follows the letter misleads.

    Args:
        output: What the model said.
        gold: See `gold_option`.
    """
    letter = gold[gold.index("(") + 1 : gold.index(")")]
    if ")" in output:
        end = output.index(")")
        output = output[end - 1 : end]
    return output == letter


def videomme_choice(output: str) -> str:
    """Return the letter that Video-MME's script finds (thanku-all/parse_answer), or "".

    That is the first of the capitals A to D anywhere, once `Answer:` is dropped: `Best option: (A)`
    is read as B, `All of it: C` as A, `b` as nothing.

    Args:
        output: What the model said.
    """
    for phrase in _VIDEOMME_DROPPED:
        output = output.replace(phrase, "")
    found = re.search("[ABCD]", output)
    return found[0] if found else ""


def seed_bench_choice(output: str) -> str:
    """Return the first character, which lmms-eval compares with the gold on SEED-Bench-2.

    The official protocol instead ranks the options by the language model's loss. lmms-eval stops at
    an empty output; here that is "" and never right.

    Args:
        output: What the model said.
    """
    return output.strip()[:1]


def mmiu_cleaned(output: str) -> str:
    """Return an output without `.`, `,` and brackets at both ends (OpenGVLab/MMIU, `evaluate.py`).

    Args:
        output: What the model said.
    """
    return re.sub(r"^[.,()]+|[.,()]+$", "", output.strip().replace("\u00a0", "").strip())


def mmiu_choice(output: str) -> str | None:
    """Return the choice that MMIU takes without asking another model.

    Args:
        output: What the model said.

    Returns:
        One letter from a to n, as it was said; `Z`, which is no option, for an empty output and
        for `image error` and its like; None for anything else, which MMIU lets GPT-4o-mini map.
    """
    if output.strip() in _MMIU_ERRORS:
        return "Z"
    cleaned = mmiu_cleaned(output).strip()
    return cleaned if cleaned.lower() in _MMIU_LETTERS else None


def mmiu_correct(choice: str, gold: str, *, strict: bool = False) -> bool:
    """Tell whether a choice is right on MMIU (`evaluate_correct.py`).

    It is if it is a *part of* the gold, in lower case: an empty one, which the model that maps
    answers may give, is always right.

    Args:
        choice: A letter, of `mmiu_choice` or of another model.
        gold: The row's `output`, a letter.
        strict: Count an empty choice as wrong.
    """
    said = choice.strip().lower()
    return said in gold.strip().lower() and (bool(said) or not strict)


def internvl_mmiu_choice(output: str, options: Mapping[str, str]) -> str:
    """Return the choice by InternVL's rule for MMIU, which needs no other model.

    A single character is taken as it is, else the first one if it is the letter of an option, else
    the first option whose text occurs in the output, else all of it. It must equal the gold.

    Args:
        output: What the model said.
        options: Texts by letter; see `mmiu_options`.
    """
    text = output.strip()
    if len(text) == 1 or text[:1] in options:
        return text[:1]
    return next((letter for letter, option in options.items() if text and option in text), text)


def mmiu_options(text: str) -> dict[str, str]:
    """Return the options of a row of MMIU by letter.

    Args:
        text: The row's `options`: lines such as `A: left` and `B: right`.
    """
    lines = [line.strip() for line in text.split("\n")]
    return {
        letter: line.replace(f"{letter}:", "").strip() if line.startswith(f"{letter}:") else line
        for letter, line in zip(ascii_uppercase, lines, strict=False)
    }


def _letter(place: int) -> str:
    return chr(ord("A") + place)
