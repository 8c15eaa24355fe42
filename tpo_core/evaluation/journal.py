"""The folder of an evaluation: what was answered so far, so that a run that was cut off can go on.

`run.json` says what is evaluated. Every process appends what it answers to a file of its own, a
line a question: `predictions.jsonl`, or `predictions.<rank>.jsonl` if there are several. At the end
`results.json` takes the place of `run.json`, and one `predictions.jsonl` that of all others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import InputError
from tpo_core.evaluation.result import (
    PREDICTIONS_FILE,
    RESULTS_FILE,
    EvaluationResult,
    Prediction,
    read_json,
    read_predictions,
)
from tpo_core.files import cannot_write, held, replace_file, writable_folder

RUN_FILE: Final = "run.json"
_SHARDS: Final = "predictions*.jsonl"


class Journal:
    """An evaluation's folder.

    Args:
        folder: Where it is; made if missing.
        run: What is evaluated on what; see `described_run`.
    """

    def __init__(self, folder: str | Path, run: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.run = run

    def open(self, *, resume: bool, overwrite: bool) -> dict[str, Prediction] | None:
        """Take the folder for this run and return what is answered already, by question.

        Args:
            resume: Go on with this run, if the folder holds it.
            overwrite: Remove whatever run the folder holds.

        Returns:
            What is answered; None if the run is finished.

        Raises:
            InputError: If the folder cannot be written, or holds a run that is another one or was
                not to be resumed.
        """
        check_output(self.folder, resume=resume, overwrite=overwrite)
        try:
            if overwrite:
                self._remove(RESULTS_FILE, RUN_FILE, _SHARDS)
            answered: dict[str, Prediction] = {}
            if self._holds_run():
                if self._is_finished:
                    return None
                for path in sorted(self.folder.glob(_SHARDS)):
                    _drop_torn_line(path)
                    answered.update((one.id, one) for one in read_predictions(path))
            replace_file(self.folder / RUN_FILE, [json.dumps(self.run, indent=2) + "\n"])
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return answered

    def append(self, predictions: Sequence[Prediction], *, rank: int, processes: int) -> None:
        """Write the predictions of a case; they outlive this process from now on.

        Args:
            predictions: Of each question of the case.
            rank: The number of this process.
            processes: How many there are.

        Raises:
            InputError: If they cannot be written.
        """
        name = PREDICTIONS_FILE if processes == 1 else f"predictions.{rank}.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write("".join(one.to_line() for one in predictions))
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def finish(self, result: EvaluationResult) -> None:
        """Write the result in the place of what was kept to go on.

        Raises:
            InputError: If it cannot be written.
        """
        result.write(self.folder)
        try:
            self._remove(RUN_FILE, "predictions.*.jsonl")
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    @property
    def _is_finished(self) -> bool:
        return (self.folder / RESULTS_FILE).exists()

    def _holds_run(self) -> bool:
        """Tell whether the folder holds this run.

        Raises:
            InputError: If it holds another one.
        """
        file = self.folder / (RESULTS_FILE if self._is_finished else RUN_FILE)
        if not file.exists():
            if found := sorted(path.name for path in self.folder.glob(_SHARDS)):
                raise InputError(
                    f"{self.folder} holds {found[0]} but not what it is of; choose another folder "
                    "with output (--out), or replace it with overwrite (--overwrite)"
                )
            return False
        before = read_json(file)
        if different := [name for name in self.run if before.get(name) != self.run[name]]:
            changes = "; ".join(
                f"{name} was {_short(before.get(name))}, is {_short(self.run[name])}"
                for name in different
            )
            raise InputError(
                f"{self.folder} holds another evaluation: {changes}; choose another folder with "
                "output (--out), or replace it with overwrite (--overwrite)"
            )
        return True

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()


def check_output(folder: str | Path, *, resume: bool, overwrite: bool) -> None:
    """Make sure that an evaluation can be written to a folder.

    Args:
        folder: Where to; made if missing.
        resume: Whether a run that it holds is gone on with.
        overwrite: Whether a run that it holds is replaced.

    Raises:
        InputError: If it cannot be written, another process is writing to it, or it holds a run and
            neither was asked for.
    """
    with held(folder):
        folder = writable_folder(folder)
    if resume or overwrite:
        return
    for name, state in (
        (RESULTS_FILE, "a finished evaluation"),
        (RUN_FILE, "an evaluation that was cut off"),
    ):
        if (folder / name).exists():
            raise InputError(
                f"{folder} holds {state}; resume (--resume) goes on with it or reads it again, "
                "overwrite (--overwrite) replaces it; or choose another folder"
            )


def _drop_torn_line(path: Path) -> None:
    """Cut off what follows the last end of a line: a process was killed while it wrote."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            end = start + at + 1 if at >= 0 else start
            if at >= 0:
                break
        file.truncate(end)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
