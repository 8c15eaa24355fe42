"""Conversations as LLaVA and its successors release them: `[{"from": "human", "value": ...}]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tpo_core.records.schema import Message
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.rows import Released, Row

Role = Literal["system", "user", "assistant"]

UNASKED = "answer without a question: left out"
UNANSWERED = "question without an answer: left out"

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_PLACE = re.compile(r"\s*<(?:image|video)>\s*")


class Turn(Released):
    """One turn of a conversation."""

    role: Literal["human", "user", "gpt", "assistant", "system"] = Field(alias="from")
    text: str = Field(alias="value")


def messages(
    turns: Sequence[Turn], row: Row, *, quirks: Quirks, field: str = "conversations"
) -> list[Message]:
    """Return the turns of a conversation in the roles and the order that records have.

    The place of the media (`<image>`, `<video>`) is removed from the text: a record's media stands
    before the whole conversation. An answer before the first question and a question after the
    last answer are left out and counted.

    Args:
        turns: As released.
        row: Where they stand.
        quirks: Filled.
        field: The turns' field in the row.

    Raises:
        RecordError: If a turn is empty, turns do not alternate, or no question has an answer.
    """
    found = [Message(role=_ROLES[turn.role], content=without_place(turn.text)) for turn in turns]
    system = found[:1] if found and found[0].role == "system" else []
    rest = found[len(system) :]
    while rest and rest[0].role == "assistant":
        quirks[UNASKED] += 1
        rest = rest[1:]
    if rest and rest[-1].role == "user":
        quirks[UNANSWERED] += 1
        rest = rest[:-1]
    roles = [message.role for message in rest]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        said = ", ".join(turn.role for turn in turns) or "missing"
        raise row.error(f"the turns are {said}; expected human and gpt in turn", field=field)
    if any(not message.content for message in rest):
        raise row.error("a turn has no text; expected a question or an answer", field=field)
    return system + rest


def without_place(text: str) -> str:
    """Return a turn's text without the placeholder of its media."""
    return _PLACE.sub(" ", text).strip()
