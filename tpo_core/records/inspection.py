"""Go through a dataset without a model: what it holds, and what of it cannot be used."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tpo_core.errors import RecordError
from tpo_core.records.dataset import Sample, load_sample
from tpo_core.records.quarantine import BadSample, Quarantine
from tpo_core.records.reader import RecordFile
from tpo_core.records.validate import CHAT


@dataclass(kw_only=True)
class Inspection:
    """What was found in a dataset.

    Args:
        files: Records in each file.
        branches: Conversations in the usable records.
        tasks: Targets by task, and conversations without any as `"chat"`.
        prompts: Prompts by task.
        media: Usable records by kind of media: `"image"`, `"video"`, `"none"`.
        durations: Seconds of each video.
        sizes: Records by `(height, width)` of their media in pixels.
        notes: What was odd but usable, such as clipped spans: `file:line: what`.
        good: `(file number, record number)` of each usable record.
        quarantine: Counts, and what cannot be used.
    """

    files: dict[str, int] = field(default_factory=dict)
    branches: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    durations: list[float] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    good: list[tuple[int, int]] = field(default_factory=list)
    quarantine: Quarantine

    @property
    def too_many_bad(self) -> bool:
        """Whether the share of bad records is above the quarantine's limit."""
        return self.quarantine.share > self.quarantine.limit

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; durations in seconds."""
        return {
            "files": self.files,
            "records": self.quarantine.seen,
            "branches": self.branches,
            "tasks": dict(self.tasks.most_common()),
            "prompts": dict(self.prompts.most_common()),
            "media": dict(self.media.most_common()),
            "duration": self.duration_summary(),
            "sizes": {f"{h}x{w}": count for (h, w), count in self.sizes.most_common()},
            "clipped": self.quarantine.clipped,
            "notes": self.notes,
            "quarantined": [asdict(sample) for sample in self.quarantine.entries.values()],
            "quarantined_share": self.quarantine.share,
            "limit": self.quarantine.limit,
        }

    def duration_summary(self) -> dict[str, float] | None:
        """Return least, median, most and total seconds of the videos; None if there are none."""
        if not self.durations:
            return None
        return {
            "min": round(min(self.durations), 3),
            "median": round(statistics.median(self.durations), 3),
            "max": round(max(self.durations), 3),
            "total": round(sum(self.durations), 3),
        }

    def spread(self, count: int) -> list[tuple[int, int]]:
        """Return up to `count` usable records, one of each of as many equal parts, in order.

        Which one of a part is drawn by a fixed seed: at equal distances a dataset that alternates,
        say, pictures and videos would show one kind alone.
        """
        total = len(self.good)
        if total <= count:
            return list(self.good)
        draw = random.Random(total)
        return [self.good[int((part + draw.random()) * total / count)] for part in range(count)]


def inspect_files(
    files: Sequence[RecordFile],
    *,
    limit: float = 0.01,
    advance: Callable[[], object] = lambda: None,
) -> Inspection:
    """Read every record, decode its media, fit its labels, and count.

    Args:
        files: The record files.
        limit: The share of records that may be bad.
        advance: Called after each record, to show progress.

    Raises:
        InputError: If the limit is no share.
    """
    total = sum(len(file) for file in files)
    # Counted to the end, whatever the share: the whole list is what one inspects for.
    found = Inspection(quarantine=Quarantine(limit=limit, minimum=total + 1))
    for number, file in enumerate(files):
        found.files[str(file.path)] = len(file)
        for index in range(len(file)):
            try:
                sample = load_sample(file.parse(index), num_frames=1)
            except RecordError as error:
                found.quarantine.add(BadSample.of(error))
            else:
                found.good.append((number, index))
                _count(found, sample)
            advance()
    return found


def _count(found: Inspection, sample: Sample) -> None:
    found.quarantine.good(clipped=sample.clipped)
    found.branches += len(sample.record.branches)
    for branch in sample.record.branches:
        found.tasks.update(_tasks(branch.targets) or [CHAT])
        found.prompts.update(_tasks(branch.prompts))
    found.notes += [f"{sample.path}:{sample.line}: {note}" for note in sample.notes]
    media = sample.media
    found.media[media.kind if media else "none"] += 1
    if media is not None:
        found.sizes[media.size] += 1
        if media.kind == "video":
            found.durations.append(media.duration)


def _tasks(items: Iterable[dict[str, Any]]) -> list[str]:
    return [item["task"] for item in items]
