"""Read the results that a report is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator

from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult
from tpo_core.evaluation.result import RESULTS_FILE, read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """A result and what to call it.

    Args:
        label: Says what was evaluated, unique among the results of its benchmark.
        folder: Where it was read.
        result: What the folder holds.
    """

    label: str
    folder: Path
    result: EvaluationResult


class _Curve(BaseModel):
    x: list[float]
    y: list[float]
    x_label: str
    y_label: str
    questions: int

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} numbers and y {len(self.y)}; expected as many")
        return self


class _Result(BaseModel):
    """What a report uses of a result: a page must not be made of half of it."""

    benchmark: str
    metrics: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    counts: dict[str, int]
    details: dict[str, dict[str, dict[str, float]]]
    curves: dict[str, _Curve]
    notes: list[str]
    protocol: dict[str, Any]
    model: dict[str, Any]
    limit: int | None


def read_results(folders: Sequence[Path]) -> dict[str, list[Evaluated]]:
    """Read the folders that `tpo eval --out` wrote.

    Args:
        folders: At least one; one given twice is read once.

    Returns:
        Results by benchmark, both in the order given.

    Raises:
        InputError: If a folder holds no result or a broken one; names it.
    """
    if not folders:
        raise InputError("no result was given; give folders that `tpo eval --out` wrote")
    unique = {folder.resolve(): folder for folder in folders}
    found: dict[str, list[tuple[Path, EvaluationResult]]] = {}
    for folder in unique.values():
        result = _read(folder)
        found.setdefault(result.benchmark, []).append((folder, result))
    return {name: _labelled(results) for name, results in found.items()}


def _read(folder: Path) -> EvaluationResult:
    if not folder.exists():
        raise InputError(f"{folder} does not exist; give folders that `tpo eval --out` wrote")
    if not (folder / RESULTS_FILE).is_file():
        raise InputError(
            f"{folder} holds no {RESULTS_FILE}; give folders that `tpo eval --out` wrote, of "
            "evaluations that have ended"
        )
    try:
        _Result.model_validate(read_json(folder / RESULTS_FILE))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{folder / RESULTS_FILE} is no result of an evaluation: {place}: {first['msg']}; "
            "evaluate again"
        ) from error
    return EvaluationResult.read(folder)


def _labelled(results: Sequence[tuple[Path, EvaluationResult]]) -> list[Evaluated]:
    """Name results by their model; by folder too where that does not tell them apart."""
    names = [_name(result.model, folder) for folder, result in results]
    often = Counter(names)
    return [
        Evaluated(
            label=name if often[name] == 1 else f"{name} ({folder})",
            folder=folder,
            result=result,
        )
        for name, (folder, result) in zip(names, results, strict=True)
    ]


def _name(model: Mapping[str, Any], folder: Path) -> str:
    if backbone := model.get("backbone"):
        heads = model.get("heads") or ()
        return f"{backbone} with {', '.join(heads)}" if heads else str(backbone)
    return Path(model.get("predictions") or folder).name
