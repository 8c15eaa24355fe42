"""NExT-GQA as released: a CSV file of questions, and a JSON file of the moments that show why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_plugins.datasets.files import find_file
from tpo_plugins.datasets.rows import Released, Row, Rows
from tpo_plugins.datasets.text import csv_rows

LETTERS: Final = "ABCDE"
_OPTIONS: Final = tuple(f"a{number}" for number in range(len(LETTERS)))
_COLUMNS: Final = ("video_id", "question", "answer", "qid", "type", *_OPTIONS)


class Question(Released):
    """A question, its options and the moments that show the answer.

    The answer is the text of an option, the first of equal ones. Moments and the length of the
    video are in seconds.
    """

    video_id: str
    qid: str
    question: str
    answer: str
    type: Literal["CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO"]
    options: list[str]
    moments: list[tuple[float, float]] = Field(min_length=1)
    duration: float


class _Video(Released):
    duration: float
    location: dict[str, list[tuple[float, float]]]


def question_rows(data: Path, *, split: str) -> Iterator[Row | RecordError]:
    """Yield a row a question, its columns joined with what the JSON file has; see `Question`.

    Args:
        data: The folder with `<split>.csv` and `gsub_<split>.json`.
        split: `val` or `test`; `train` has no moments.

    Raises:
        InputError: If a file is missing or lacks a column.
    """
    path = find_file(data, f"gsub_{split}.json")
    rows = csv_rows(find_file(data, f"{split}.csv"), columns=_COLUMNS)
    videos: dict[str, _Video] = {}
    for row in Rows(path):
        try:
            if isinstance(row, RecordError):
                raise row
            videos[row.key] = row.parse(_Video)
        except RecordError as error:
            yield error
    for question in rows:
        yield question if isinstance(question, RecordError) else _joined(question, videos, path)


def _joined(row: Row, videos: Mapping[str, _Video], path: Path) -> Row | RecordError:
    video = videos.get(row.value["video_id"])
    moments = video.location.get(row.value["qid"]) if video else None
    if video is None or not moments:
        return row.error(
            f"{path.name} has no moment for question {row.value['qid']!r} of video "
            f"{row.value['video_id']!r}; get both files of one release"
        )
    options = [row.value[name] for name in _OPTIONS]
    if row.value["answer"] not in options:
        return row.error(
            f"the answer {row.value['answer']!r} is none of the options {options}; get the file "
            "again"
        )
    joined = {"options": options, "moments": moments, "duration": video.duration}
    return replace(row, value=row.value | joined)
