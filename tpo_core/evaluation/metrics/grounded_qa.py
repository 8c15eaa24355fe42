"""Grounded question answering as on NExT-GQA: is the answer right, and does the span show why.

doc-doc/NExT-GQA, `code/TempGQA/eval_ground.py` and `eval_next.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.moments import Span

TYPE_NAMES: Final[Mapping[str, str]] = {
    "CW": "Why",
    "CH": "How",
    "TN": "Bef&Aft",
    "TC": "When",
    "DC": "Cnt",
    "DL": "Loc",
    "DO": "Other",
    "C": "Acc_C",
    "T": "Acc_T",
    "D": "Acc_D",
}
"""Types of questions and their groups (by first letter) with the names that the script prints.

`TP` (what came before) counts as `TN` (what comes next).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounding:
    """What NExT-GQA reports; shares are fractions in [0, 1].

    Args:
        count: Questions in the denominator.
        acc_gqa: Share with the right answer and an IoP of 0.5 or more (of the span alone, not IoU).
        miop: Mean intersection over the predicted span, with the moment for which it is highest.
        iop: Share whose IoP reaches each threshold.
        miou: Mean IoU, with the moment for which that is highest.
        iou: Share whose IoU reaches each threshold.
        hits: How many questions are behind `acc_gqa`, `iop` and `iou`: `gqa`, `iop@0.3`, ...
    """

    count: int
    acc_gqa: float
    miop: float
    iop: Mapping[float, float]
    miou: float
    iou: Mapping[float, float]
    hits: Mapping[str, int]


def overlap_of(window: Span, span: Span) -> tuple[float, float]:
    """Return IoU and IoP of a predicted span with one right moment, as the script has them.

    Both are negative where the two are apart. A span of no length has IoU 0 and, inside the moment
    or at its border, IoP 1; a reversed span has IoP 0.

    Args:
        window: (start, end) of the moment.
        span: (start, end) that was predicted, in the same unit.
    """
    if span[0] == span[1]:
        return 0.0, float(window[0] <= span[0] <= window[1])
    shared = min(window[1], span[1]) - max(window[0], span[0])
    hull = max(window[1], span[1]) - min(window[0], span[0])
    iou = shared / hull if hull > 0 else 0.0
    iop = shared / (span[1] - span[0]) if span[1] > span[0] else 0.0
    return iou, iop


def span_of_fractions(span: Span, duration: float) -> tuple[float, float]:
    """Return a span given in fractions of the video in seconds, to 0.1 s as the script rounds.

    Args:
        span: (start, end) in [0, 1].
        duration: Of the video, in seconds.
    """
    import numpy as np

    # Not Python's round: numpy scales, rounds and scales back, which differs in ties.
    start, end = np.round(np.asarray(span, dtype=np.float64) * duration, 1)
    return float(start), float(end)


def grounded_qa(
    predicted: Mapping[str, Span],
    truth: Mapping[str, Sequence[Span]],
    correct: Mapping[str, bool],
    *,
    thresholds: Sequence[float] = (0.3, 0.5),
    strict: bool = False,
) -> Grounding:
    """Score spans and answers together.

    IoU and IoP are each the highest over a question's moments, apart from each other, and not below
    0; thresholds are inclusive. The script leaves questions without a span out of every figure, so
    that saying nothing where one is unsure raises all of them.

    Args:
        predicted: The span in seconds for each question id.
        truth: The right moments for each question id; also names the questions that count.
        correct: Whether the answer to each question is right.
        thresholds: IoU and IoP levels.
        strict: Count a question without a span as IoU 0 and IoP 0.

    Raises:
        InputError: If no question has a span, or an answer is missing for one whose IoP is enough.
    """
    pairs = []
    for key, windows in truth.items():
        if key in predicted:
            both = [overlap_of(window, predicted[key]) for window in windows]
            pairs.append((key, max(0.0, *(u for u, _ in both)), max(0.0, *(p for _, p in both))))
        elif strict:
            pairs.append((key, 0.0, 0.0))
    if not pairs:
        raise InputError(
            f"none of {len(predicted)} predicted spans is for one of {len(truth)} questions; ids "
            "are <video>_<question>"
        )
    grounded = [key for key, _, iop in pairs if iop >= 0.5]
    unanswered = [key for key in grounded if key not in correct]
    if unanswered:
        raise InputError(
            f"{len(unanswered)} questions have a span but no answer, such as "
            f"{', '.join(unanswered[:10])}; give both for each"
        )
    count = len(pairs)
    hits = {"gqa": sum(correct[key] for key in grounded)}
    for level in thresholds:
        hits[f"iop@{level:g}"] = sum(iop >= level for _, _, iop in pairs)
        hits[f"iou@{level:g}"] = sum(iou >= level for _, iou, _ in pairs)
    return Grounding(
        count=count,
        acc_gqa=hits["gqa"] / count,
        miop=sum(iop for _, _, iop in pairs) / count,
        iop={level: hits[f"iop@{level:g}"] / count for level in thresholds},
        miou=sum(iou for _, iou, _ in pairs) / count,
        iou={level: hits[f"iou@{level:g}"] / count for level in thresholds},
        hits=hits,
    )


def qa_by_type(
    types: Mapping[str, str], correct: Mapping[str, bool], *, strict: bool = False
) -> dict[str, tuple[int, int]]:
    """Count right answers by type of question, for Acc@QA and its table.

    Args:
        types: The type of each question id: `CW`, `CH`, `TN`, `TP`, `TC`, `DC`, `DL` or `DO`.
        correct: Whether the answer to each question is right.
        strict: Count a question without an answer as wrong; the script stops at one.

    Returns:
        (right answers, questions) for each key of `TYPE_NAMES`, and for `all`.

    Raises:
        InputError: If a type is unknown or, unless strict, an answer is missing.
    """
    missing = [key for key in types if key not in correct]
    if missing and not strict:
        raise InputError(
            f"{len(missing)} of {len(types)} questions have no answer ({', '.join(missing[:10])}); "
            "answer them, or score with strict=True, which counts them as wrong"
        )
    counts = {name: [0, 0] for name in (*TYPE_NAMES, "all")}
    for key, given in types.items():
        kind = "TN" if given == "TP" else given
        if kind not in counts or len(kind) != 2:
            known = ", ".join(["TP", *(name for name in TYPE_NAMES if len(name) == 2)])
            raise InputError(f"question {key} has the type {given!r}; known are {known}")
        for name in (kind, kind[0], "all"):
            counts[name][0] += correct.get(key, False)
            counts[name][1] += 1
    return {name: (right, number) for name, (right, number) in counts.items()}
