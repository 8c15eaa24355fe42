"""Conversations as text with the backbone's own chat template, and which of it the assistant wrote.

Spans are found by rendering the conversation turn by turn and comparing texts, so templates need no
`{% generation %}` marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers.utils.chat_template_utils import _compile_jinja_template

from tpo_core.errors import InputError
from tpo_core.records.schema import Message

# A private-use character that no template writes and no tokenizer special-cases.
MARK = "\ue123"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatText:
    """A conversation as text.

    Args:
        text: The whole, visual placeholders unexpanded.
        spans: Character ranges that the assistant wrote, end-of-turn tokens included.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


class ChatTemplate:
    """A chat template bound to a tokenizer's special tokens.

    Args:
        source: The Jinja template.
        variables: What the template may refer to besides the messages (`bos_token`, ...).
        specials: Texts of special tokens, among which the end of a turn is looked for.
        eos: Ends the last assistant turn where the template itself writes no special token there.
    """

    def __init__(
        self, source: str, *, variables: dict[str, str], specials: Sequence[str], eos: str
    ) -> None:
        self.source, self.variables, self.eos = source, variables, eos
        longest_first = sorted(filter(None, specials), key=len, reverse=True)
        self.special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self.content_is_list = self._takes_lists()

    def render(self, messages: Sequence[dict[str, Any]], *, generate: bool = False) -> str:
        """Render messages, their contents lists of parts, to text."""
        if not self.content_is_list:
            messages = [{**m, "content": _join(m["content"])} for m in messages]
        # transformers' compiler is what `apply_chat_template` uses: the same sandbox and filters,
        # cached by source; calling it directly spares the copying of messages for each rendering.
        template = _compile_jinja_template(self.source)
        text: str = template.render(
            messages=messages,
            tools=None,
            documents=None,
            add_generation_prompt=generate,
            **self.variables,
        )
        return text

    def conversation(
        self, messages: Sequence[Message], *, media: Sequence[dict[str, Any]], generate: bool
    ) -> ChatText:
        """Render a conversation and mark what the assistant wrote.

        Args:
            messages: The turns.
            media: Parts to put before the text of the first user turn.
            generate: End with the template's generation prompt; a last assistant turn is left open
                instead, to be gone on from.

        Raises:
            InputError: If there is no user turn for the media, or the template drops an answer.
        """
        if generate and messages and messages[-1].role == "assistant":
            closed = self.conversation(messages, media=media, generate=False)
            return self._opened(closed, messages[-1].content)
        turns = with_media(messages, media)
        text, done, spans = "", "", []
        for number, turn in enumerate(turns):
            whole = self.render(turns[: number + 1])
            if not whole.startswith(done):
                return self._rewritten(turns, messages, generate)
            if turn["role"] != "assistant":
                text, done = text + whole[len(done) :], whole
                continue
            prompt = self.render(turns[:number], generate=True)
            start, content, end = self._answer(whole, prompt, messages[number].content)
            if not whole.startswith(prompt):
                # The template writes the header of a past answer otherwise than the prompt for a
                # new one (llava_onevision: a blank). What is trained must be what is asked for.
                start = content
                text += prompt[len(done) :]
            else:
                text += whole[len(done) : start]
            tail = whole[start:]
            if number + 1 == len(turns) and not self._is_closed(whole, end):
                tail = whole[start:end] + self.eos
                end = start + len(tail)
            spans.append((len(text), len(text) + end - start))
            text, done = text + tail, whole
        if generate:
            text += self.render(turns, generate=True)[len(done) :]
        return ChatText(text=text, spans=tuple(spans))

    def _answer(self, whole: str, prompt: str, content: str) -> tuple[int, int, int]:
        """Return where in `whole` the prompt ends, the answer begins, and its end of turn ends."""
        start = _shared(whole, prompt)
        at = whole.find(_core(content), start)
        if not _core(content) and (end := self.special.search(whole, start)):
            at = end.start()
        if at < 0:
            raise InputError(
                f"the chat template does not render the answer {content[:60]!r} as written; "
                "remove what the template strips or escapes"
            )
        return start, at, self._end_of_turn(whole, at + len(_core(content)))

    def _opened(self, chat: ChatText, answer: str) -> ChatText:
        """Cut a conversation behind the words of its last answer, as training writes them."""
        start, end = chat.spans[-1]
        ends = [match.start() for match in self.special.finditer(chat.text, start, end)]
        core = _core(answer)
        said = chat.text.rindex(core, start, ends[-1] if ends else end) + len(core)
        text = chat.text[:said] + answer[len(answer.rstrip()) :]
        return ChatText(text=text, spans=(*chat.spans[:-1], (start, len(text))))

    def _end_of_turn(self, text: str, at: int) -> int:
        """Return the end of the first special token after `at`, or `at` if there is none."""
        found = self.special.search(text, at)
        return found.end() if found else at

    def _is_closed(self, text: str, end: int) -> bool:
        """Tell whether a special token ends at `end`."""
        return any(match.end() == end for match in self.special.finditer(text))

    def _rewritten(
        self, turns: Sequence[dict[str, Any]], messages: Sequence[Message], generate: bool
    ) -> ChatText:
        """Render with a template that rewrites earlier turns (drops their reasoning, say)."""
        text, at, spans = self.render(turns, generate=generate), 0, []
        for message in messages:
            core = _core(message.content)
            start = text.find(core, at)
            if start < 0:
                raise InputError(
                    f"the chat template does not render {core[:60]!r} as written; "
                    "remove what the template strips or escapes"
                )
            at = start + len(core)
            if message.role == "assistant":
                at = self._end_of_turn(text, at)
                spans.append((start, at))
        return ChatText(text=text, spans=tuple(spans))

    def _takes_lists(self) -> bool:
        """Tell whether contents may be lists of parts; text-only templates want strings."""
        part = [{"type": "text", "text": MARK}]
        self.content_is_list = True
        try:
            text = self.render([{"role": "user", "content": part}])
        except Exception:  # whatever a template raises on a type it does not know
            return False
        return text.count(MARK) == 1 and "'text'" not in text


def with_media(
    messages: Sequence[Message], media: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return messages for a chat template, the media first in the first user turn."""
    turns: list[dict[str, Any]] = []
    pending = list(media)
    for message in messages:
        parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
        if pending and message.role == "user":
            parts, pending = pending + parts, []
        turns.append({"role": message.role, "content": parts})
    if pending:
        raise InputError("a conversation about media has no user turn; add one to put it in")
    return turns


def _shared(one: str, other: str) -> int:
    """Return the length of the common beginning of two texts."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _core(content: str) -> str:
    """Return the part of a content that templates keep: many strip its ends."""
    return content.strip()


def _join(parts: Sequence[dict[str, Any]]) -> str:
    return "".join(part.get("text", "") for part in parts)
