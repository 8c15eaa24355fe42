"""Moments of videos as branches: a question for what happens, its spans as the target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tpo_core.records.schema import Branch, Saliency, TemporalTarget
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.templates import conversation, phrase

Span = tuple[float, float]

CLIPPED = "span ends after the video: clipped to its end"
EARLY = "span starts before the video: clipped to 0"
EMPTY = "span does not start before it ends: left out"
OUTSIDE = "span starts after the video ends: left out"
WORDLESS = "no text to ask for: left out"
BLANKS = "text begins or ends with blanks: removed"
UNTIMED = "length of the video is not known: end of the span not checked"
UNRELEASED = "answer is not released: left out"


def clean_span(start: float, end: float, *, duration: float | None, quirks: Quirks) -> Span | None:
    """Return a span within its video, or None if nothing of it is left.

    Args:
        start: Seconds.
        end: Seconds.
        duration: Seconds of the video; None if not known, then the end stays as it is.
        quirks: Filled.
    """
    if not (math.isfinite(start) and math.isfinite(end)) or start >= end:
        quirks[EMPTY] += 1
        return None
    if duration is not None and end > duration:
        if start >= duration:
            quirks[OUTSIDE] += 1
            return None
        quirks[CLIPPED] += 1
        end = duration
    if start < 0:
        quirks[EARLY] += 1
        start = 0.0
    return (start, end) if start < end else None


def check_aligned(row: Row, **lengths: int) -> None:
    """Check that lists of a row that belong together have one length.

    Args:
        row: The row.
        **lengths: How long each list is, by its field.

    Raises:
        RecordError: If they differ.
    """
    if len(set(lengths.values())) > 1:
        said = " but ".join(f"{count} {name}" for name, count in lengths.items())
        raise row.error(f"there are {said}; expected one each")


def moment_branches(
    query: str,
    spans: Sequence[Span],
    *,
    name: str,
    quirks: Quirks,
    saliency: Saliency | None = None,
) -> Iterator[Branch]:
    """Yield the conversation that asks for the moments of a query; nothing if it has no text.

    Args:
        query: What happens, or a question that the moments answer, as released.
        spans: The moments in seconds, at least one.
        name: Names the branch; chooses the template.
        quirks: Filled.
        saliency: How well each part of the video fits, if released; the question asks for it then.
    """
    text = phrase(query)
    if not text:
        quirks[WORDLESS] += 1
        return
    if query != query.strip():
        quirks[BLANKS] += 1
    target = TemporalTarget(spans=list(spans), saliency=saliency)
    task = "saliency" if saliency else "temporal_question" if text.endswith("?") else "temporal"
    yield Branch(
        messages=conversation(task, name, query=text),
        targets=[target.model_dump(mode="json", exclude_none=True)],
    )
