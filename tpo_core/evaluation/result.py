"""What an evaluation found: figures, counts, every prediction, and how it was done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tpo_core.errors import InputError

Status = Literal["answered", "missing", "failed", "no head"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One question, what the model made of it and what that is worth.

    Args:
        id: The question's, unique in the benchmark.
        kind: What is asked.
        media: The media file.
        question: The user's turn.
        prompts: Boxes that were given with it, normalised xyxy.
        answer: The model's text; None if it gave none.
        status: `missing` if the answer lacks something that was to be predicted, `failed` if the
            model raised an error, `no head` if it has no head for the task and was not asked.
        reason: Why, unless answered.
        scores: Values by metric, one for each thing that was to be predicted.
        truth: The label as plain JSON values.
        predicted: What was scored as plain JSON values.
    """

    id: str
    kind: str
    media: str
    question: str
    prompts: tuple[Any, ...] = ()
    answer: str | None = None
    status: Status = "answered"
    reason: str = ""
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    truth: Any = None
    predicted: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationResult:
    """The figures of one model on one benchmark.

    Args:
        benchmark: Its name.
        metrics: The benchmark's figures in [0, 1]; None where no question asked for one.
        counts: `media` seen, `quarantined` media, `questions`, and of these `answered`, `missing`,
            `failed`, `no head`; see `Prediction`.
        details: For each kind of question, and for `all`, every figure and its number of values.
        notes: What a reader of the figures must know.
        protocol: What was pinned by the benchmark.
        model: What the model is made of.
        versions: Of the packages that the figures depend on.
        seconds: Wall-clock seconds it took.
        predictions: Every question's.
    """

    benchmark: str
    metrics: Mapping[str, float | None]
    counts: Mapping[str, int]
    details: Mapping[str, Mapping[str, Mapping[str, float]]]
    notes: tuple[str, ...]
    protocol: Mapping[str, Any]
    model: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float
    predictions: tuple[Prediction, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything but the predictions as plain JSON values."""
        return {
            "benchmark": self.benchmark,
            "metrics": dict(self.metrics),
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "details": {kind: dict(figures) for kind, figures in self.details.items()},
            "protocol": dict(self.protocol),
            "model": dict(self.model),
            "versions": dict(self.versions),
            "seconds": round(self.seconds, 2),
        }

    def write(self, folder: str | Path) -> None:
        """Write `results.json`, and `predictions.jsonl` with one prediction a line.

        Each file is whole or absent.

        Args:
            folder: Where to; made if missing.

        Raises:
            InputError: If the folder cannot be written.
        """
        folder = writable_folder(folder)
        predictions = (json.dumps(asdict(one), separators=(",", ":")) for one in self.predictions)
        try:
            _replace(folder / "predictions.jsonl", predictions)
            _replace(folder / "results.json", [json.dumps(self.to_json(), indent=2)])
        except OSError as error:
            raise _cannot_write(folder, error) from error


def writable_folder(folder: str | Path) -> Path:
    """Make a folder if missing and prove that files can be made in it.

    Raises:
        InputError: If it cannot be made or written.
    """
    folder = Path(folder)
    probe = folder / f".writable-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return folder


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write to {folder}: {error.strerror}; give a folder that you may write to, on a "
        "disk with free space"
    )


def _replace(path: Path, lines: Iterable[str]) -> None:
    """Write a text file beside its place, then move it there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
