"""Write a dataset as record files: streaming, checked, all or nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tpo_core.errors import InputError, RecordError
from tpo_core.files import whole_file
from tpo_core.records.quarantine import BadSample, Quarantine
from tpo_core.records.schema import Record
from tpo_core.records.source import media_root, open_dataset
from tpo_core.records.validate import (
    Rules,
    check_media_file,
    check_record,
    registered_rules,
    tasks_of,
)

_JUDGED_FROM = 1000


@dataclass(kw_only=True)
class Conversion:
    """What was written, and what was met on the way.

    Args:
        out: The file.
        records: Records in it.
        conversations: Conversations in those.
        tasks: Conversations by task; those without targets as `"chat"`.
        quirks: What was odd in the dataset and was dealt with, and how often.
        leaves_folder: Whether media lie outside the file's folder, so that reading it must be
            allowed to go there.
        quarantine: Counts conversations, and holds what could not be used.
    """

    out: Path
    records: int = 0
    conversations: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    quirks: Counter[str] = field(default_factory=Counter)
    leaves_folder: bool = False
    quarantine: Quarantine

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "out": str(self.out),
            "records": self.records,
            "conversations": self.conversations,
            "tasks": dict(self.tasks.most_common()),
            "quirks": dict((+self.quirks).most_common()),
            "allow_outside": self.leaves_folder,
            "quarantined": [asdict(sample) for sample in self.quarantine.entries.values()],
            "quarantined_share": self.quarantine.share,
            "limit": self.quarantine.limit,
        }


def convert_dataset(
    name: str,
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: float = 0.01,
    check_media: bool = False,
    absolute: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> Conversion:
    """Read a dataset and write its records; nothing is written if too many cannot be used.

    Args:
        name: The dataset.
        folder: Its files.
        out: The JSONL file to write, replaced at once when everything is done.
        split: One of its splits; all that are there if None.
        limit: The share of conversations that may be unusable.
        check_media: Whether a record whose media file is missing is unusable; else it is written,
            and quarantined where media are decoded.
        absolute: Whether media paths are written absolute, not relative to `out`'s folder.
        advance: Called after each record, to show progress.

    Raises:
        UnknownName: No dataset has the name, or the dataset no such split.
        InputError: A file is missing or cannot be written, nothing is left, or more than `limit`
            cannot be used.
    """
    target = Path(out)
    done = Conversion(out=target, quarantine=Quarantine(limit=limit, minimum=_JUDGED_FROM))
    rules, root = registered_rules(), media_root(folder)
    items = open_dataset(name, folder, split=split, quirks=done.quirks)
    inside, base = os.path.realpath(target.parent), os.path.realpath(root)
    if not absolute:
        base = os.path.relpath(base, inside)
    try:
        with whole_file(target) as draft, draft.open("w", encoding="utf-8") as file:
            for item in items:
                try:
                    record = _usable(item, rules, root if check_media else None)
                except RecordError as error:
                    done.quarantine.add(bad_sample(error, item))
                else:
                    moved = _moved(record, base)
                    file.write(moved.model_dump_json(exclude_defaults=True) + "\n")
                    _count(done, moved, inside)
                advance()
            done.quarantine.check(final=True)
            if not done.records:
                met = "".join(f"; {quirk}: {count}" for quirk, count in done.quirks.most_common(3))
                raise InputError(f"{folder} holds no record of {name} that can be used{met}")
    except OSError as error:
        place = error.filename2 or error.filename or target
        raise InputError(
            f"{place} cannot be read or written ({error.strerror}); check its permissions and "
            "free space"
        ) from error
    return done


def bad_sample(error: RecordError, item: Record | RecordError) -> BadSample:
    """Return what the quarantine holds of an error: a record that is invalid is named by its id."""
    sample = BadSample.of(error)
    return replace(sample, path=item.id) if isinstance(item, Record) else sample


def _usable(item: Record | RecordError, rules: Rules, root: Path | None) -> Record:
    if isinstance(item, RecordError):
        raise item
    check_record(item, rules)
    if root is not None:
        check_media_file(item, root)
    return item


def _count(done: Conversion, record: Record, inside: str) -> None:
    if record.media is not None and not done.leaves_folder:
        # Links are followed, as the reader of records does.
        place = os.path.realpath(os.path.join(inside, record.media.path))
        done.leaves_folder = not place.startswith(os.path.join(inside, ""))
    done.records += 1
    done.conversations += len(record.branches)
    done.tasks.update(tasks_of(record))
    done.quarantine.good(len(record.branches))


def _moved(record: Record, base: str) -> Record:
    """Return a record whose media path begins where `base` is, absolute or from the file."""
    if record.media is None:
        return record
    path = os.path.normpath(os.path.join(base, record.media.path))
    media = record.media.model_copy(update={"path": path})
    return record.model_copy(update={"media": media})
