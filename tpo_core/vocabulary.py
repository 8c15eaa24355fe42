"""The task tokens of one model and their ids; between marked text and the text an LLM sees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tpo_core.errors import InputError
from tpo_core.tokens import TaskToken, ordered_texts


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Task tokens by task name, and the id of every token text.

    Args:
        tokens: One task token a task.
        ids: Token id by token text.
    """

    tokens: Mapping[str, TaskToken]
    ids: Mapping[str, int]

    @classmethod
    def build(cls, tokens: Iterable[TaskToken], ids: Mapping[str, int]) -> Vocabulary:
        """Collect tokens of several heads.

        Raises:
            InputError: If two heads claim one task, or two tokens share a text.
        """
        by_task: dict[str, TaskToken] = {}
        texts: set[str] = set()
        for token in tokens:
            if token.task in by_task:
                raise InputError(f"two heads serve the task {token.task!r}; attach one of them")
            if clash := texts & set(token.texts):
                raise InputError(f"two task tokens share the text {min(clash)!r}; rename one")
            by_task[token.task] = token
            texts.update(token.texts)
        return cls(by_task, ids)

    @property
    def texts(self) -> tuple[str, ...]:
        """Token texts in the order of their ids."""
        return ordered_texts(tuple(self.tokens.values()))

    @property
    def triggers(self) -> dict[int, str]:
        """Task by trigger id."""
        return {self.ids[token.trigger]: task for task, token in self.tokens.items()}

    @property
    def slots(self) -> dict[int, str]:
        """Task by slot id."""
        return {self.ids[token.slot]: task for task, token in self.tokens.items()}

    @property
    def prompts(self) -> dict[int, str]:
        """Task by prompt-token id."""
        return {self.ids[t.prompt]: task for task, t in self.tokens.items() if t.prompt}

    @property
    def trained_ids(self) -> list[int]:
        """Ids whose embedding rows are learned: all but prompt tokens, whose rows heads compute."""
        return sorted(set(self.ids.values()) - set(self.prompts))

    def to_llm(self, role: str, content: str) -> str:
        """Replace `<task>`: in assistant turns by trigger and slot, in others by the prompt."""
        for token in self.tokens.values():
            text = token.pair if role == "assistant" else token.prompt
            if text:
                content = content.replace(token.marker, text)
        return content

    def check_text(self, content: str) -> None:
        """Refuse text that holds a task token's own text.

        Raises:
            InputError: If it does; the message says how to write a marker instead.
        """
        for task, token in self.tokens.items():
            for text in token.texts:
                if text in content:
                    raise InputError(
                        f"text {content[:80]!r} holds the reserved token {text!r}; write "
                        f"<{task}> where a slot or prompt is meant, or remove it"
                    )

    def strip(self, text: str, slots: Sequence[str] = ()) -> str:
        """Remove task tokens from generated text.

        Args:
            text: What the LLM wrote.
            slots: Words to put in place of each slot, in order; missing ones leave nothing.
        """
        if not self.texts:
            return text.strip()
        words = iter(slots)
        slot_texts = {token.slot for token in self.tokens.values()}
        known = "|".join(re.escape(known) for known in sorted(self.texts, key=len)[::-1])

        def words_for(match: re.Match[str]) -> str:
            found = re.findall(known, match[0])
            said = [next(words, "") for token in found if token in slot_texts]
            # Blanks stay as they are, but words never touch words, nor blanks a full stop.
            before, after = match.string[: match.start()], match.string[match.end() :]
            starts_apart = match[0][0].isspace() or before[-1:].isalnum()
            ends_apart = match[0][-1].isspace() or after[:1].isalnum()
            inner = " ".join(filter(None, said))
            if not inner:
                needs_blank = (starts_apart or ends_apart) and after[:1] not in tuple(".,;:!?")
                return " " if needs_blank else ""
            return " " * starts_apart + inner + " " * ends_apart

        return re.sub(rf"[ \t]*(?:(?:{known})[ \t]*)+", words_for, text).strip()
