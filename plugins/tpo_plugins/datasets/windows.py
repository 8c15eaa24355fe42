"""Moments in the JSONL layout of QVHighlights, into which other datasets are rewritten too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, MediaRef, Record, Saliency
from tpo_plugins.datasets.grouping import group_all, group_records
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import UNRELEASED, clean_span, moment_branches

CLIP_SECONDS = 2.0
"""Length of the clips that are scored."""

_BEST_SCORE = 4


class WindowsRow(Released):
    """A query and its windows; times in seconds, clips of two seconds, scores of 0 to 4."""

    query: str
    vid: str
    duration: float
    relevant_windows: list[tuple[float, float]] | None = None
    relevant_clip_ids: list[int] | None = None
    saliency_scores: list[list[float]] | None = None


def window_records(
    path: Path, *, prefix: str, media: Callable[[str], MediaRef], quirks: Quirks
) -> Iterator[Record | RecordError]:
    """Yield one record a video of such a file, a branch a query.

    Args:
        path: The JSONL file, its rows in any order.
        prefix: Stands before the video's name in the record's id.
        media: Returns the media of a `vid`.
        quirks: Filled.
    """
    return group_records(
        group_all(Rows(path), key=lambda row: row.parse(WindowsRow).vid),
        prefix=prefix,
        media=lambda group: media(group.key),
        branches=lambda row, name: _branches(row, name, quirks),
    )


def _branches(row: Row, name: str, quirks: Quirks) -> Iterator[Branch]:
    item = row.parse(WindowsRow)
    if item.relevant_windows is None:
        quirks[UNRELEASED] += 1
        return
    spans = [
        span
        for start, end in item.relevant_windows
        if (span := clean_span(start, end, duration=item.duration, quirks=quirks))
    ]
    if spans:
        yield from moment_branches(
            item.query, spans, name=name, quirks=quirks, saliency=_saliency(item, row)
        )


def _saliency(item: WindowsRow, row: Row) -> Saliency | None:
    """Score the middle of every clip: the mean of its judges, 0 where no window is."""
    if item.saliency_scores is None:
        return None
    clips = item.relevant_clip_ids or []
    if len(clips) != len(item.saliency_scores):
        raise row.error(
            f"{len(item.saliency_scores)} scores for {len(clips)} clips; expected one each",
            field="saliency_scores",
        )
    scores = [0.0] * -int(-item.duration // CLIP_SECONDS)
    for clip, judges in zip(clips, item.saliency_scores, strict=True):
        if not 0 <= clip < len(scores) or not judges:
            raise row.error(
                f"clip {clip} of {len(scores)} has {len(judges)} scores; expected a clip of the "
                "video with a score of each judge",
                field="relevant_clip_ids",
            )
        scores[clip] = sum(judges) / len(judges) / _BEST_SCORE
    times = [min((clip + 0.5) * CLIP_SECONDS, item.duration) for clip in range(len(scores))]
    return Saliency(times=times, scores=scores)
