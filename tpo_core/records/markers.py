"""Check that the text of a conversation and its targets and prompts belong together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from tpo_core.errors import RecordError
from tpo_core.records.schema import Branch

_MARKER = re.compile(r"<([A-Za-z_][A-Za-z0-9_-]*)>")


def find_markers(text: str, *, tasks: Collection[str]) -> list[str]:
    """Return the tasks whose markers `<task>` stand in a text, in order."""
    return [name for name in _MARKER.findall(text) if name in tasks]


def check_branch(
    branch: Branch,
    *,
    tasks: Collection[str],
    prompt_tasks: Collection[str],
    reserved: Collection[str],
    field: str,
) -> None:
    """Check turns, markers and reserved texts of one conversation.

    Args:
        branch: The conversation, its targets and prompts already of known tasks.
        tasks: Tasks whose marker may stand in an assistant turn.
        prompt_tasks: Tasks whose marker may stand in a user turn.
        reserved: Texts that no turn may hold, such as the task tokens'.
        field: Where the branch stands in the record, dotted.

    Raises:
        RecordError: If turns do not alternate, markers and targets or prompts differ in number or
            order, a marker stands where its task has none, or a reserved text is used.
    """
    _check_turns(branch, field=field)
    known = {*tasks, *prompt_tasks}
    for number, message in enumerate(branch.messages):
        place = f"{field}.messages.{number}.content"
        taken = next((text for text in sorted(reserved) if text in message.content), None)
        if taken is not None:
            raise RecordError(
                f"the text holds {taken!r}, which is reserved for task tokens; mark a task with "
                "its name, such as <region>, or reword",
                field=place,
            )
        allowed = {"assistant": tasks, "user": prompt_tasks}.get(message.role, ())
        stray = [name for name in find_markers(message.content, tasks=known) if name not in allowed]
        if stray:
            where = ", ".join(f"<{name}>" for name in sorted(allowed)) or "no marker"
            raise RecordError(
                f"<{stray[0]}> cannot stand in a {message.role} turn; expected {where} there",
                field=place,
            )
    for role, items, names, what in (
        ("assistant", branch.targets, tasks, "targets"),
        ("user", branch.prompts, prompt_tasks, "prompts"),
    ):
        texts = [message.content for message in branch.messages if message.role == role]
        marked = [name for text in texts for name in find_markers(text, tasks=names)]
        given = [item["task"] for item in items]
        if marked != given:
            raise RecordError(
                f"the {role} turns mark {_listing(marked)} but the {what} are {_listing(given)}; "
                f"expected one of the {what} for each marker, in order{_near_miss(texts, names)}",
                field=f"{field}.{what}",
            )


def _check_turns(branch: Branch, *, field: str) -> None:
    """Chat templates refuse other orders, which must not happen in the middle of training."""
    roles = [message.role for message in branch.messages]
    turns = roles[1:] if roles[0] == "system" else roles
    expected = ["user", "assistant"] * (len(turns) // 2)
    if not turns or turns != expected:
        raise RecordError(
            f"the turns are {', '.join(roles)}; expected user and assistant in turn, the assistant "
            "last, after at most one system turn",
            field=f"{field}.messages",
        )


def _listing(names: Sequence[str]) -> str:
    return "[" + ", ".join(names) + "]"


def _near_miss(texts: Iterable[str], names: Collection[str]) -> str:
    for text in texts:
        for word in _MARKER.findall(text):
            near = get_close_matches(word.lower(), sorted(names), n=1)
            if word not in names and near:
                return f" (<{word}> is no marker; did you mean <{near[0]}>?)"
    return ""
