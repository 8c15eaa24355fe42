"""Check a record as training will: turns, marks, targets and prompts of the registered heads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from tpo_core.errors import MediaError, RecordError
from tpo_core.media.open import refuse_url
from tpo_core.records.markers import check_branch
from tpo_core.records.schema import Record
from tpo_core.records.targets import CORE_PROMPTS, CORE_TARGETS, Models, parse_items
from tpo_core.tokens import UPSTREAM_ORDER

CHAT = "chat"
"""What a conversation without targets is counted as."""

Items = tuple[tuple[BaseModel, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What records may hold.

    Args:
        targets: Target models by task.
        prompts: Prompt models by task.
        reserved: Texts that no message may hold: the task tokens'.
    """

    targets: Models
    prompts: Models
    reserved: frozenset[str]


def registered_rules() -> Rules:
    """Return the rules of every registered head; only heads of other tasks than the core's load.

    Raises:
        MissingDependency: A head needs a package that is absent.
        PluginError: A head is broken.
    """
    from tpo_core.registry import list_heads, load_head

    specs = list_heads()
    targets, prompts = dict(CORE_TARGETS), dict(CORE_PROMPTS)
    for spec in specs:
        tasks = {token.task for token in spec.tokens} - set(CORE_TARGETS)
        if not tasks:
            continue
        head = load_head(spec.name)
        targets |= dict.fromkeys(tasks, head.Target)
        if head.Prompt is not None:
            prompts |= dict.fromkeys(tasks, head.Prompt)
    texts = {text for spec in specs for token in spec.tokens for text in token.texts}
    return Rules(targets=targets, prompts=prompts, reserved=frozenset(UPSTREAM_ORDER) | texts)


def check_record(record: Record, rules: Rules) -> tuple[Items, Items]:
    """Type a record's targets and prompts, and check that its texts belong to them.

    Args:
        record: The record.
        rules: What it may hold.

    Returns:
        Per branch, one typed target per slot, and one typed prompt per prompt marker.

    Raises:
        RecordError: If the record is malformed; names the field.
    """
    if record.media is not None:
        try:
            refuse_url(record.media.path)
        except MediaError as error:
            raise RecordError(str(error), field="media.path") from error
    targets, prompts = [], []
    for position, branch in enumerate(record.branches):
        field = f"branches.{position}"
        targets.append(parse_items(branch.targets, models=rules.targets, field=f"{field}.targets"))
        prompts.append(parse_items(branch.prompts, models=rules.prompts, field=f"{field}.prompts"))
        check_branch(
            branch,
            tasks=rules.targets,
            prompt_tasks=rules.prompts,
            reserved=rules.reserved,
            field=field,
        )
        if record.media is None and (branch.targets or branch.prompts):
            raise RecordError("there are targets or prompts but no media", field=field)
    return tuple(targets), tuple(prompts)


def check_media_file(record: Record, root: Path) -> None:
    """Check that a record's media is there.

    Args:
        record: The record.
        root: What its media path is relative to.

    Raises:
        RecordError: If it is not.
    """
    if record.media is not None and not (root / record.media.path).exists():
        raise RecordError(f"{root / record.media.path} does not exist", field="media.path")


def tasks_of(record: Record) -> Counter[str]:
    """Count a record's conversations by the tasks of their targets; `CHAT` without any."""
    found: Counter[str] = Counter()
    for branch in record.branches:
        found.update({str(target["task"]) for target in branch.targets} or {CHAT})
    return found
