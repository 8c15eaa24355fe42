"""What an evaluation found: figures, counts, every prediction, and how it was done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from tpo_core.errors import InputError
from tpo_core.evaluation.intervals import METHOD, Interval
from tpo_core.files import cannot_write, replace_file, writable_folder

PREDICTIONS_FILE: Final = "predictions.jsonl"
RESULTS_FILE: Final = "results.json"

Status = Literal["answered", "missing", "failed", "no head"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One question, what the model made of it and what that is worth.

    Args:
        id: The question's, unique in the benchmark.
        kind: What is asked.
        media: The media file.
        question: The user's turn.
        prefix: How the answer was made to begin; not part of it.
        prompts: Boxes that were given with it, normalised xyxy.
        answer: The model's text; None if it gave none.
        status: `missing` if the answer lacks something that was to be predicted, `failed` if the
            model raised an error, `no head` if it has no head for the task and was not asked.
        reason: Why, unless answered.
        scores: Values by metric, one for each thing that was to be predicted.
        curves: Heights of the benchmark's curves.
        truth: The label as plain JSON values.
        predicted: The fields that were scored as plain JSON values; None if there are none.
    """

    id: str
    kind: str
    media: str
    question: str
    prefix: str = ""
    prompts: tuple[Any, ...] = ()
    answer: str | None = None
    status: Status = "answered"
    reason: str = ""
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    truth: Any = None
    predicted: Mapping[str, Any] | None = None

    def to_line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what a line that `to_line` wrote holds.

        Raises:
            TypeError: If a field lacks or is not known.
        """
        lists: dict[str, Any] = {"prompts": tuple(values["prompts"])}
        for name in ("scores", "curves"):
            lists[name] = {key: tuple(row) for key, row in values[name].items()}
        return cls(**{**values, **lists})


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationResult:
    """The figures of one model, or of one file of predictions, on one benchmark.

    Args:
        benchmark: Its name.
        metrics: The benchmark's figures in [0, 1]; None where no question asked for one.
        counts: `media` seen, `quarantined` media, `questions`, and of these `answered`, `missing`,
            `failed`, `no head`; see `Prediction`.
        details: For each kind of question, and for `all`, the mean of every metric and part of one
            over its values, and their number; for `all`, figures that are means over kinds stay so.
        notes: What a reader of the figures must know.
        protocol: What was pinned by the benchmark.
        model: What the model is made of, or the file of predictions.
        versions: Of the packages that the figures depend on.
        seconds: Wall-clock seconds it took since it was begun or last resumed.
        intervals: Lower and upper end for each of `metrics`; see `intervals.METHOD`.
        curves: For each of the benchmark's curves that a question has: `x`, `y` (the mean over
            `questions`), `x_label` and `y_label`.
        data: The folder of the benchmark's files.
        limit: How many media were looked at, from the first; all if None.
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
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    data: str = ""
    limit: int | None = None
    predictions: tuple[Prediction, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything but the predictions as plain JSON values."""
        return {
            "benchmark": self.benchmark,
            "metrics": dict(self.metrics),
            "intervals": {name: ends and list(ends) for name, ends in self.intervals.items()},
            "interval_method": METHOD,
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "details": {kind: dict(figures) for kind, figures in self.details.items()},
            "curves": {name: dict(curve) for name, curve in self.curves.items()},
            "protocol": dict(self.protocol),
            "model": dict(self.model),
            "data": self.data,
            "limit": self.limit,
            "versions": dict(self.versions),
            "seconds": round(self.seconds, 2),
        }

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: If the folder holds no result, or a file of it is broken.
        """
        folder = Path(folder)
        values = read_json(folder / RESULTS_FILE)
        try:
            fields = {name: values[name] for name in values.keys() - {"interval_method"}}
            fields["intervals"] = {
                name: ends and tuple(ends) for name, ends in fields["intervals"].items()
            }
            predictions = tuple(read_predictions(folder / PREDICTIONS_FILE))
            if len(predictions) != (questions := fields["counts"]["questions"]):
                raise InputError(
                    f"{folder / PREDICTIONS_FILE} holds {len(predictions)} predictions, expected "
                    f"{questions} as {RESULTS_FILE} says; evaluate again"
                )
            return cls(**{**fields, "notes": tuple(fields["notes"]), "predictions": predictions})
        except (TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{folder / RESULTS_FILE} is no result of an evaluation ({error}); evaluate again"
            ) from error

    def write(self, folder: str | Path) -> None:
        """Write `results.json`, and `predictions.jsonl` with one prediction a line.

        Each file is whole or absent.

        Args:
            folder: Where to; made if missing.

        Raises:
            InputError: If the folder cannot be written.
        """
        folder = writable_folder(folder)
        try:
            replace_file(folder / PREDICTIONS_FILE, (one.to_line() for one in self.predictions))
            replace_file(folder / RESULTS_FILE, [json.dumps(self.to_json(), indent=2) + "\n"])
        except OSError as error:
            raise cannot_write(folder, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: If the file cannot be read or holds none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); evaluate again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no JSON object; evaluate again")
    return values


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file, one a line.

    Raises:
        InputError: If the file cannot be read or a line of it is no prediction.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                yield _prediction(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); evaluate again") from error


def _prediction(line: str, place: str) -> Prediction:
    try:
        return Prediction.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{place} is no prediction ({error}); evaluate anew with overwrite (--overwrite)"
        ) from error
