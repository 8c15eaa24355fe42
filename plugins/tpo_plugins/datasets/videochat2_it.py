"""VideoChat2-IT: questions and answers about pictures and videos from some thirty sources.

Each source is a JSON list at `{image,video}/<kind>/<name>/train.json`; other files beside it, such
as `train_100k.json`, are subsets of it and are not read. A row is one conversation, its questions
in the order of the file. As in the release's own training only the instruction (`i`) of the first
question counts. Records hold whole media, so the `start` and `end` of a row are said in its
question.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.records.schema import Branch, MediaRef, Message, Record
from tpo_plugins.datasets.files import data_folder, locate
from tpo_plugins.datasets.grouping import Group, group_consecutive, group_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.templates import conversation

CUT = "row is about a part of its video: said in its question"
UNASKED = "no question: its instruction asks"
UNINSTRUCTED = "neither question nor instruction: asked for a caption"
UNANSWERED = "no answer: left out"

_SPLITS = ("train",)


class _Question(Released):
    instruction: str = Field(default="", alias="i")
    question: str = Field(default="", alias="q")
    answer: str = Field(alias="a")


class _Row(Released):
    image: str = ""
    video: str = ""
    questions: list[_Question] = Field(alias="QA", min_length=1)
    start: float | None = None
    end: float | None = None


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield one record a row; rows about one media item that follow each other are its branches.

    Args:
        source: The folder with the annotation tree. Media paths are looked up below it, below
            `<name>/` in it, and beside the annotation file, so that a source's media are best put
            (or linked) at `<name>`.
        split: `train` is all there is.
        quirks: Filled.

    Raises:
        InputError: There is no annotation file below the folder.
    """
    if split is not None and split not in _SPLITS:
        raise UnknownName("split", split, _SPLITS)
    root = data_folder(source)
    files = [
        path for kind in ("image", "video") for path in sorted(root.glob(f"{kind}/*/*/train.json"))
    ]
    if not files:
        raise InputError(
            f"no {{image,video}}/<kind>/<name>/train.json was found in {root}; give the folder "
            "that holds `image` and `video`"
        )
    return _records(root, files, counter(quirks))


def _records(root: Path, files: list[Path], quirks: Quirks) -> Iterator[Record | RecordError]:
    for path in files:
        below = path.parent.relative_to(root).as_posix()
        folders = ("", path.parent.name, below)

        def media(group: Group, folders: tuple[str, ...] = folders) -> MediaRef:
            item = group.rows[0].parse(_Row)
            found = locate(root, item.video or item.image, folders=folders)
            return MediaRef(type="video" if item.video else "image", path=found)

        yield from group_records(
            group_consecutive(Rows(path), key=_media_path),
            prefix=f"videochat2_it/{below}",
            media=media,
            branches=lambda row, name: [_branch(row.parse(_Row), row, name, quirks)],
            numbered=True,
        )


def _media_path(row: Row) -> str:
    item = row.parse(_Row)
    if not item.video and not item.image:
        raise row.error("neither `video` nor `image` names a file", field="video")
    return item.video or item.image


def _branch(item: _Row, row: Row, name: str, quirks: Quirks) -> Branch:
    messages: list[Message] = []
    for number, turn in enumerate(item.questions):
        answer, question = turn.answer.strip(), turn.question.strip()
        if not answer:
            quirks[UNANSWERED] += 1
            continue
        instruction = item.questions[0].instruction.strip()
        asked = question if messages else f"{instruction} {question}".strip()
        if not question:
            asked = asked or turn.instruction.strip() or instruction
            quirks[UNASKED if asked else UNINSTRUCTED] += 1
        if not asked:
            asked = conversation("captioning", f"{name}.{number}", caption=answer)[0].content
        messages.append(Message(role="user", content=asked))
        messages.append(Message(role="assistant", content=answer))
    if not messages:
        raise row.error("no question has an answer", field="QA")
    if item.start is not None and item.end is not None:
        quirks[CUT] += 1
        part = f"From {item.start:g} to {item.end:g} seconds: {messages[0].content}"
        messages[0] = Message(role="user", content=part)
    return Branch(messages=messages)
