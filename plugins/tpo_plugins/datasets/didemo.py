"""DiDeMo: descriptions of moments of 25 to 30 seconds long Flickr videos, in chunks of 5 seconds.

Four annotators (sometimes five or seven) give each a first and a last chunk, the last inclusive,
and often disagree. One span is made of them as VideoMind does: the mean first and last chunk, times
five, rounded to seconds. The last chunk may be shorter than 5 seconds, so a span that reaches it is
cut at the end of the video where the video is there to tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from statistics import fmean

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch, Record
from tpo_plugins.datasets.durations import video_seconds
from tpo_plugins.datasets.files import MediaFiles, data_folder, split_files
from tpo_plugins.datasets.grouping import group_all, split_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.temporal import clean_span, moment_branches

CHUNK_SECONDS = 5

DISAGREED = "annotators disagree: their chunks averaged"
UNUSUAL = "not four annotators: all used"
UNTIMED = "length of the video is not known: a span in its last chunk may end after it"

_FILES = {split: f"{split}_data.json" for split in ("train", "val", "test")}


class _Moment(Released):
    description: str
    video: str
    times: list[tuple[int, int]] = Field(min_length=1)
    num_segments: int


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a video, its descriptions branches.

    Args:
        source: The folder with the JSON files and, at any depth, the videos, their suffixes
            whatever the download made them.
        split: `train`, `val` or `test`; all if None.
        quirks: Filled.

    Raises:
        InputError: The folder or the annotation file is missing.
    """
    root = data_folder(source)
    videos, met = MediaFiles(root), counter(quirks)
    return split_records(
        "didemo",
        split_files(root, _FILES, split=split),
        groups=lambda path: group_all(Rows(path), key=_stem),
        media=lambda group: videos.ref(group.key),
        branches=lambda row, name: _branches(row, name, videos, met),
    )


def _branches(row: Row, name: str, videos: MediaFiles, quirks: Quirks) -> Iterator[Branch]:
    moment = row.parse(_Moment)
    start, end = _span(moment, row, quirks)
    duration = None
    if end > (moment.num_segments - 1) * CHUNK_SECONDS:
        path = videos.find(_stem(row))
        duration = video_seconds(videos.root / path) if path else None
        if duration is None:
            quirks[UNTIMED] += 1
    if span := clean_span(start, end, duration=duration, quirks=quirks):
        yield from moment_branches(moment.description, [span], name=name, quirks=quirks)


def _stem(row: Row) -> str:
    """Return the video's name without its suffix, which differs in what was downloaded."""
    return os.path.splitext(row.parse(_Moment).video)[0]


def _span(moment: _Moment, row: Row, quirks: Quirks) -> tuple[float, float]:
    """Return the seconds of the annotators' mean chunks."""
    last = moment.num_segments - 1
    for first_chunk, last_chunk in moment.times:
        if not 0 <= first_chunk <= last_chunk <= last:
            raise row.error(
                f"chunks {first_chunk} to {last_chunk} are not within 0 to {last}", field="times"
            )
    if len(set(moment.times)) > 1:
        quirks[DISAGREED] += 1
    if len(moment.times) != 4:
        quirks[UNUSUAL] += 1
    firsts, lasts = zip(*moment.times, strict=True)
    return round(fmean(firsts) * CHUNK_SECONDS), round((fmean(lasts) + 1) * CHUNK_SECONDS)
