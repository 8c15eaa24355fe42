"""Task tokens: the words an LLM emits to hand a question to a head."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskToken:
    """A trigger and its slot, and optionally a prompt token, of one task.

    Args:
        task: The task's name; `<task>` in a record's assistant turn stands for one slot.
        trigger: Token text the LLM emits to ask for the task.
        slot: Token text that follows; its input row is learned, its final hidden state feeds the
            head.
        prompt: Token text that stands for a prompt in the user's turn, whose embedding the head
            computes; `<task>` in a user turn of a record stands for one. Empty if none.
    """

    task: str
    trigger: str
    slot: str
    prompt: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The token texts to add to a tokenizer."""
        return tuple(text for text in (self.trigger, self.slot, self.prompt) if text)

    @property
    def marker(self) -> str:
        """What stands for this task's slot (or prompt) in a record's text."""
        return f"<{self.task}>"

    @property
    def pair(self) -> str:
        """Trigger and slot as they stand in the LLM's answer."""
        return self.trigger + self.slot


# Upstream's texts; ids are appended in UPSTREAM_ORDER so that its checkpoint's rows line up.
REGION = TaskToken(task="region", trigger="<box_begin>", slot="<boxes>", prompt="<track_box>")
TEMPORAL = TaskToken(task="temporal", trigger="<time_begin>", slot="<temp>")
MASK = TaskToken(task="mask", trigger="<track_begin>", slot="<tracking>")
UPSTREAM_ORDER = (
    "<box_begin>",
    "<time_begin>",
    "<temp>",
    "<boxes>",
    "<track_begin>",
    "<tracking>",
    "<track_box>",
)


def ordered_texts(tokens: tuple[TaskToken, ...]) -> tuple[str, ...]:
    """Return all token texts in the order their ids are appended: upstream's first, then others."""
    texts = tuple(dict.fromkeys(text for token in tokens for text in token.texts))
    known = tuple(text for text in UPSTREAM_ORDER if text in texts)
    return known + tuple(text for text in texts if text not in known)
