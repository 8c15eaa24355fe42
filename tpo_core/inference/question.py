"""A question about a media item, checked and turned into the messages an LLM sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tpo_core.errors import InputError, UnknownName
from tpo_core.media.types import Media
from tpo_core.records.markers import find_markers
from tpo_core.records.schema import Message, RegionPrompt
from tpo_core.records.targets import record_error
from tpo_core.vocabulary import Vocabulary

BoxLike = Sequence[float] | BaseModel
Turn = Message | Mapping[str, str] | tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question about one media item.

    Args:
        media: What `open_media` takes: a path, Pillow image, tensor, list of frames or `Media`;
            None to chat about nothing.
        text: The question. `<region>` in it stands for a box the user points at.
        box: The boxes that the `<region>` marks of the user turns stand for: one xyxy normalised to
            [0, 1], a `RegionPrompt` (a box on a given frame, or a plugin's own prompt), or a list
            of those if there are several marks.
        history: Earlier turns, oldest first: messages or `(role, content)` pairs; an assistant turn
            marks what a head answered by `<task>`, as `Answer.turns` writes it.
        task: Name of the task to answer with, whatever the LLM would choose.
        prefix: How the answer begins, in plain words; the LLM goes on from there.
    """

    media: Any
    text: str
    box: BoxLike | Sequence[BoxLike] | None = None
    history: Sequence[Turn] = ()
    task: str | None = None
    prefix: str = ""

    @property
    def prompts(self) -> tuple[BaseModel, ...]:
        """The boxes as typed prompts, in the order of their marks.

        Raises:
            InputError: If a box is not four finite numbers in [0, 1] in the right order.
        """
        if self.box is None:
            return ()
        is_one = isinstance(self.box, BaseModel) or _is_numbers(self.box)
        boxes: Iterable[Any] = [self.box] if is_one else self.box
        return tuple(_prompt(box) for box in boxes)

    @property
    def frames(self) -> frozenset[int]:
        """Frame numbers that its prompts are on, which must be looked at."""
        return frozenset(p.frame for p in self.prompts if isinstance(p, RegionPrompt))

    @property
    def source(self) -> str:
        """The media's path, or a word for what came in memory."""
        if isinstance(self.media, str | Path):
            return str(self.media)
        return getattr(self.media, "source", "none" if self.media is None else "memory")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedQuestion:
    """A question whose texts were checked.

    Args:
        number: Its place in the list that was asked.
        question: As it was asked.
        messages: The turns, prompt marks and slots written as the backbone's tokens; the last is
            the assistant's if the answer has a prefix.
        prompts: One per prompt mark in the user turns.
    """

    number: int
    question: Question
    messages: tuple[Message, ...]
    prompts: tuple[BaseModel, ...]

    @property
    def group(self) -> tuple[object, ...]:
        """Equal for questions that can share a decoded media item and its encoded prefix.

        Frames that a prompt is on change which others are looked at, unless they are decoded.
        """
        media = self.question.media
        is_path = isinstance(media, str | Path)
        first = self.messages[0]
        return (
            str(Path(media).resolve()) if is_path else id(media),
            frozenset() if isinstance(media, Media) else self.question.frames,
            first.content if first.role == "system" else None,
        )


def as_question(item: Any) -> Question:
    """Return a question as it is, or make one of `(media, text)`.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(item, Question):
        return item
    if isinstance(item, Sequence) and not isinstance(item, str | bytes) and len(item) == 2:
        return Question(*item)
    raise InputError(f"cannot ask {str(item)[:80]!r}; expected a Question or a (media, text) pair")


def prepare(number: int, question: Question, vocabulary: Vocabulary) -> PreparedQuestion:
    """Check a question and write it as the LLM sees it.

    Raises:
        InputError: If a text is empty or holds a reserved token, turns are out of order, boxes and
            marks differ in number, or the prefix is blank or holds a slot.
        UnknownName: If no head serves the task that was asked for.
    """
    if not isinstance(question.text, str) or not question.text.strip():
        raise InputError(f"the question is {question.text!r}; expected some text")
    turns = [*(message(turn) for turn in question.history)]
    turns.append(Message(role="user", content=question.text))
    _check_roles(turns)
    for turn in turns:
        vocabulary.check_text(turn.content)
    prompts = question.prompts
    users = [turn.content for turn in turns if turn.role == "user"]
    tasks = set(vocabulary.prompts.values())
    marked = [name for text in users for name in find_markers(text, tasks=tasks)]
    given = [str(getattr(prompt, "task", "")) for prompt in prompts]
    if marked != given:
        raise InputError(_mismatch(marked, given, tasks))
    if question.task is not None and question.task not in vocabulary.tokens:
        raise UnknownName("task", question.task, vocabulary.tokens, note="attach a head for it")
    if question.media is None and (question.task or prompts):
        what = f"task {question.task!r}" if question.task else "a box"
        raise InputError(f"the question has {what} but no media; give a picture or a video")
    if question.prefix:
        _check_prefix(question.prefix, vocabulary)
        turns.append(Message(role="assistant", content=question.prefix))
    return PreparedQuestion(
        number=number,
        question=question,
        messages=tuple(
            Message(role=turn.role, content=vocabulary.to_llm(turn.role, turn.content))
            for turn in turns
        ),
        prompts=prompts,
    )


def _mismatch(marked: Sequence[str], given: Sequence[str], tasks: set[str]) -> str:
    if given and not set(given) <= tasks:
        return f"a box was given, but no attached head takes {given[0]!r} prompts; attach one"
    return (
        f"the user turns mark {len(marked)} prompts ({', '.join(marked) or 'none'}) but "
        f"{len(given)} were given; expected one box for each <region> in the text, in order"
    )


def _check_roles(turns: Sequence[Message]) -> None:
    roles = [turn.role for turn in turns]
    talk = roles[1:] if roles[0] == "system" else roles
    if talk != [("user", "assistant")[i % 2] for i in range(len(talk))]:
        raise InputError(
            f"the turns are {', '.join(roles)}; expected history to alternate user and assistant "
            "and to end with the assistant, after at most one system turn"
        )


def _check_prefix(prefix: str, vocabulary: Vocabulary) -> None:
    if not isinstance(prefix, str) or not prefix.strip():
        raise InputError(f"the prefix is {prefix!r}; expected the first words of the answer")
    vocabulary.check_text(prefix)
    if slots := find_markers(prefix, tasks=set(vocabulary.tokens)):
        raise InputError(
            f"the prefix {prefix[:80]!r} holds <{slots[0]}>, but no head answers before the LLM "
            "goes on; give plain words, and task= to force a slot behind them"
        )


def message(turn: Any) -> Message:
    """Return one turn of a history as a message.

    Raises:
        InputError: If it is neither a message nor a role and a content.
    """
    try:
        if isinstance(turn, Message):
            return turn
        if isinstance(turn, Mapping):
            return Message.model_validate(dict(turn))
        role, content = turn
        return Message(role=role, content=content)
    except (ValidationError, TypeError, ValueError) as error:
        raise InputError(
            f"history holds {str(turn)[:80]!r}; expected (role, content) pairs, the role user, "
            "assistant or system"
        ) from error


def _is_numbers(box: Any) -> bool:
    return all(isinstance(value, int | float) for value in box)


def _prompt(box: Any) -> BaseModel:
    if isinstance(box, BaseModel):
        return box
    try:
        return RegionPrompt(box=tuple(box))
    except TypeError as error:
        raise InputError(f"box is {box!r}; expected four numbers, xyxy in [0, 1]") from error
    except ValidationError as error:
        raise InputError(str(record_error(error))) from error
