"""Files of Video-MME's official script: a list of videos, each with its questions and responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tpo_core.errors import InputError
from tpo_plugins.benchmarks.submission import predicted_by_id, write_submission

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction
    from tpo_plugins.benchmarks.videomme import VideommeRow


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")

    question_id: str
    response: str | None = None


class _Video(BaseModel):
    model_config = ConfigDict(extra="ignore")

    questions: tuple[_Question, ...]
    missing: bool = False


_VIDEOS: TypeAdapter[list[_Video]] = TypeAdapter(list[_Video])


def read_responses(folder: Path) -> list[dict[str, str]]:
    """Read every JSON file of a folder; videos that are marked as missing have no responses.

    Returns:
        `id` and `text` of each response.

    Raises:
        InputError: If there is no such file, or one is not of the official layout.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"{folder} holds no .json file; expected responses in Video-MME's layout")
    rows = []
    for path in paths:
        for video in _read(path):
            rows += [
                {"id": question.question_id, "text": question.response}
                for question in video.questions
                if question.response is not None and not video.missing
            ]
    return rows


def write_responses(
    rows: Iterable[VideommeRow], predictions: Sequence[Prediction], output: Path
) -> None:
    """Write the responses to all questions; one that was not answered is empty.

    Args:
        rows: Every question.
        predictions: Of any of them.
        output: The file to write; whole or absent.

    Raises:
        InputError: If a prediction is for another question, or the file cannot be written.
    """
    videos: dict[str, list[VideommeRow]] = {}
    for row in rows:
        videos.setdefault(row.video_id, []).append(row)
    ids = [row.question_id for each in videos.values() for row in each]
    found = predicted_by_id(predictions, ids, name="Video-MME")
    said = {name: fields["text"] for name, fields in found.items()}
    layout = [_video(each, said) for each in videos.values()]
    write_submission(output, json.dumps(layout, indent=2, ensure_ascii=False).split("\n"))


def _video(rows: Sequence[VideommeRow], said: Mapping[str, str]) -> dict[str, Any]:
    first = rows[0]
    return {
        "video_id": first.video_id,
        "duration_category": first.duration,
        "video_category": first.domain,
        "video_subcategory": first.sub_category,
        "url": first.url,
        "missing": not any(row.question_id in said for row in rows),
        "questions": [
            {
                "question_id": row.question_id,
                "task_type": row.task_type,
                "question": row.question,
                "choices": list(row.options),
                "answer": row.answer,
                "response": said.get(row.question_id, ""),
            }
            for row in rows
        ],
    }


def _read(path: Path) -> list[_Video]:
    try:
        return _VIDEOS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read as Video-MME's responses ({' '.join(str(error).split())}); "
            "expected a JSON list of videos, each with questions that have question_id and response"
        ) from error
