"""The training log: one JSON line per logging step, and what a run tells the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tpo_core.errors import CheckpointError
from tpo_core.training.groups import TrainedGroup


class Progress(Protocol):
    """What shows a run to its user."""

    def stage(self, name: str, steps: int, groups: list[TrainedGroup]) -> None:
        """A stage is about to start."""
        ...

    def step(self, step: int, entry: Mapping[str, Any] | None) -> None:
        """An optimizer step is done; `entry` is its log line if it has one."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        ...


class Silent:
    """Shows nothing."""

    def stage(self, name: str, steps: int, groups: list[TrainedGroup]) -> None:
        """Ignore."""

    def step(self, step: int, entry: Mapping[str, Any] | None) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""


@dataclass(slots=True)
class RunLog:
    """`log.jsonl` of a run.

    Args:
        path: The file.
        clock: Seconds, for tests.
    """

    path: Path
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append a line with the seconds since the run began.

        Raises:
            CheckpointError: The file cannot be written.
        """
        line = {**entry, "seconds": round(self.clock() - self.started, 3)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise CheckpointError(
                f"cannot write {self.path}: {error.strerror}; check permissions and free space"
            ) from error

    def rewind(self, stage: str, step: int) -> None:
        """Drop lines of `stage` after `step`, and a line cut short by a kill."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if entry["stage"] != stage or entry["step"] <= step:
                kept.append(line)
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        partial.replace(self.path)
