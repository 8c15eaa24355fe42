"""Which questions about moments the records of a file ask about which video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.reader import RecordFile
from tpo_core.records.validate import registered_rules
from tpo_core.tokens import TEMPORAL


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions by video, and the records that could not be read.

    Args:
        by_stem: The users' whole turns by the video's file name without its suffix, each once.
        bad: What is wrong with a record, by its place.
    """

    by_stem: dict[str, list[str]] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)


def read_questions(path: Path) -> Questions:
    """Collect what a temporal head will be asked, as the engine hands it over.

    Args:
        path: A JSONL file of records.

    Raises:
        InputError: If the file cannot be read.
    """
    found = Questions()
    rules = registered_rules()
    file = RecordFile(
        path,
        targets=rules.targets,
        prompts=rules.prompts,
        reserved=rules.reserved,
        allow_outside=True,
    )
    for parsed in file.iter_records():
        if isinstance(parsed, RecordError):
            found.bad[f"{parsed.path}:{parsed.line}"] = parsed.reason
            continue
        for branch, targets in zip(parsed.record.branches, parsed.targets, strict=True):
            turns = [message.content for message in branch.messages if message.role == "user"]
            if parsed.media_path is None or not turns:
                continue
            if any(getattr(target, "task", None) == TEMPORAL.task for target in targets):
                asked = found.by_stem.setdefault(parsed.media_path.stem, [])
                if turns[-1] not in asked:
                    asked.append(turns[-1])
    return found
