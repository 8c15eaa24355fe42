"""Read what a quickstart wrote: figures, predictions and the training log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo_core.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class RunData:
    """What a report is made of.

    Args:
        folder: The run's folder.
        metrics: `metrics.json`.
        before: `results.json` of the evaluation before training.
        after: That of the evaluation after.
        predictions: Those after training, as `tpo_core.evaluation.Prediction` has them.
        answers_before: The text of each answer before training, by the question's id.
        log: The lines of the training log, in order.
        recipe: `recipe.json`.
    """

    folder: Path
    metrics: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    predictions: tuple[Mapping[str, Any], ...]
    answers_before: Mapping[str, str | None]
    log: tuple[Mapping[str, Any], ...]
    recipe: Mapping[str, Any]


def read_run(folder: Path) -> RunData:
    """Read a run's folder.

    Raises:
        InputError: A file is missing or broken; names it.
    """
    evaluation = folder / "evaluation"
    before = _lines(evaluation / "before" / "predictions.jsonl")
    return RunData(
        folder=folder,
        metrics=_json(folder / "metrics.json"),
        before=_json(evaluation / "before" / "results.json"),
        after=_json(evaluation / "after" / "results.json"),
        predictions=tuple(_lines(evaluation / "after" / "predictions.jsonl")),
        answers_before={line["id"]: line["answer"] for line in before},
        log=tuple(_lines(folder / "log.jsonl")),
        recipe=_json(folder / "recipe.json"),
    )


def _json(path: Path) -> Mapping[str, Any]:
    value = _parse(path, _text(path))
    assert isinstance(value, dict), f"{path} holds no object"
    return value


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    return (_parse(path, line) for line in _text(path).splitlines())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; run `tpo quickstart` first"
        ) from error


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is broken ({error}); run `tpo quickstart` again") from error
