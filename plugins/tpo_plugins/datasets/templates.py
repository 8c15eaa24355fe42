"""Questions and answers for labels that come without a conversation, chosen by the record's name.

The texts are data: `templates/<task>.yaml`, a list of questions with their answers, in which
`{query}` and the like are filled in and the marks of the record format (`<temporal>`, `<region>`,
`<mask>`) stand for targets and prompts.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from tpo_core.errors import UnknownName
from tpo_core.records.schema import Message

_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A question and its answer, with `{fields}` to fill in."""

    question: str
    answer: str

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields."""
        parts = string.Formatter().parse(self.question + self.answer)
        return frozenset(name for _, name, _, _ in parts if name)


def template_tasks() -> list[str]:
    """Return the tasks that have templates, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def templates(task: str) -> Sequence[Template]:
    """Return the templates of a task.

    Raises:
        UnknownName: If the task has none.
    """
    if task not in template_tasks():
        raise UnknownName("template task", task, template_tasks())
    rows = yaml.safe_load((_FOLDER / f"{task}.yaml").read_text(encoding="utf-8"))
    return tuple(Template(**row) for row in rows)


def conversation(task: str, name: str, **fields: str) -> list[Message]:
    """Return a question and an answer, of the template that the name decides.

    Args:
        task: Whose templates, such as `temporal`.
        name: Names the branch, as from `group_records`; the same name gives the same template.
        **fields: What to fill in.
    """
    choices = templates(task)
    digest = hashlib.blake2b(f"{task}\0{name}".encode(), digest_size=8).digest()
    chosen = choices[int.from_bytes(digest, "little") % len(choices)]
    return [
        Message(role="user", content=chosen.question.format(**fields)),
        Message(role="assistant", content=chosen.answer.format(**fields)),
    ]


def phrase(text: str) -> str:
    """Return a label's text to fill in: single blanks, no full stop at the end."""
    return " ".join(text.split()).rstrip(" .")
