"""Go through a dataset as it is released: what each split holds, and what was odd or unusable.

Media files are looked for, but none is decoded: datasets have tens of thousands.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tpo_core.errors import InputError, RecordError
from tpo_core.records.convert import bad_sample
from tpo_core.records.quarantine import Quarantine
from tpo_core.records.reader import ParsedRecord
from tpo_core.records.schema import Record
from tpo_core.records.source import media_root, open_dataset
from tpo_core.records.validate import Rules, check_record, registered_rules, tasks_of

ALL = "all"
"""What records are counted as if the dataset names no splits."""


@dataclass(kw_only=True)
class SplitSurvey:
    """What one split holds.

    Args:
        records: Usable records.
        conversations: Conversations in those.
        tasks: Conversations by task; those without targets as `"chat"`.
        media: Records by kind of media: `"image"`, `"video"`, `"none"`.
        missing: Records whose media file is not there.
        quirks: What was odd and was dealt with, and how often.
        quarantine: Counts conversations, and holds what cannot be used.
    """

    records: int = 0
    conversations: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    quirks: Counter[str] = field(default_factory=Counter)
    quarantine: Quarantine = field(default_factory=lambda: Quarantine(limit=1))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "records": self.records,
            "conversations": self.conversations,
            "tasks": dict(self.tasks.most_common()),
            "media": dict(self.media.most_common()),
            "media_missing": self.missing,
            "quirks": dict((+self.quirks).most_common()),
            "quarantined": [asdict(sample) for sample in self.quarantine.entries.values()],
            "quarantined_share": self.quarantine.share,
        }


@dataclass(kw_only=True)
class Survey:
    """What was found in a dataset.

    Args:
        splits: What each split that is there holds.
        absent: Why each other split could not be read.
        drawn: Records whose media are there, of all of these a fixed random choice.
    """

    splits: dict[str, SplitSurvey] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    drawn: list[ParsedRecord] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of all conversations that cannot be used."""
        seen = sum(split.quarantine.seen for split in self.splits.values())
        return sum(split.quarantine.bad for split in self.splits.values()) / seen if seen else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "absent": self.absent,
            "quarantined_share": self.share,
        }


def survey_dataset(
    name: str,
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    samples: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Survey:
    """Read every record of a dataset, check it, look for its media, and count.

    Args:
        name: The dataset.
        folder: Its files.
        split: The only split to read; every one that is there if None.
        samples: How many records with media to choose for drawing.
        advance: Called after each record, to show progress.

    Raises:
        UnknownName: No dataset has the name, or the dataset no such split.
        InputError: No split that is wanted can be read.
    """
    from tpo_core.registry import get_dataset

    names = (split,) if split is not None else get_dataset(name).splits or (None,)
    found, rules = Survey(), registered_rules()
    chooser, seen = random.Random(0), 0
    for each in names:
        survey = SplitSurvey()
        try:
            items = open_dataset(name, folder, split=each, quirks=survey.quirks)
        except InputError as error:
            if len(names) == 1:
                raise
            found.absent[each or ALL] = str(error)
            continue
        found.splits[each or ALL] = survey
        for item in items:
            parsed = _count(survey, item, rules, folder)
            if parsed is not None:
                seen += 1
                # Reservoir sampling: every record has the same chance, in one pass.
                if len(found.drawn) < samples:
                    found.drawn.append(parsed)
                elif (place := chooser.randrange(seen)) < samples:
                    found.drawn[place] = parsed
            advance()
    if not found.splits:
        raise InputError("; ".join(dict.fromkeys(found.absent.values())))
    return found


def _count(
    survey: SplitSurvey,
    item: Record | RecordError,
    rules: Rules,
    folder: str | os.PathLike[str],
) -> ParsedRecord | None:
    """Count a record; return it typed if its media is there."""
    try:
        if isinstance(item, RecordError):
            raise item
        targets, prompts = check_record(item, rules)
    except RecordError as error:
        survey.quarantine.add(bad_sample(error, item))
        return None
    survey.records += 1
    survey.conversations += len(item.branches)
    survey.tasks.update(tasks_of(item))
    survey.quarantine.good(len(item.branches))
    survey.media[item.media.type if item.media else "none"] += 1
    if item.media is None:
        return None
    path = media_root(folder) / item.media.path
    if not path.exists():
        survey.missing += 1
        return None
    return ParsedRecord(
        record=item, targets=targets, prompts=prompts, media_path=path, path=item.id, line=0
    )
