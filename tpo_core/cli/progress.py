"""The terminal's view of a training run: a table of what trains, then a bar with the losses."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tpo_core.training.groups import TrainedGroup, table


class RichProgress:
    """Shows stages, steps and losses; a plain line per log entry where there is no terminal.

    Args:
        console: Where to; standard error by default, so that results can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def stage(self, name: str, steps: int, groups: list[TrainedGroup]) -> None:
        """Print what trains and start a bar."""
        if self.task is not None:
            self.bar.stop_task(self.task)
        rows = Table(title=f"stage {name}: {steps} steps", title_justify="left")
        rows.add_column("trains")
        for heading in ("tensors", "parameters", "learning rate"):
            rows.add_column(heading, justify="right")
        for group, tensors, elements, rate in table(groups):
            rows.add_row(group, str(tensors), f"{elements:,}", f"{rate:g}")
        self.console.print(rows)
        self.task = self.bar.add_task(name, total=steps, losses="")

    def step(self, step: int, entry: Mapping[str, Any] | None) -> None:
        """Move the bar; show the losses of a log line."""
        if self.task is None:
            return
        self.bar.update(self.task, completed=step)
        if entry is None:
            return
        terms = " ".join(
            f"{name} {value:.3f}"
            for name, value in entry.items()
            if name == "loss" or name == "lm" or "/" in name
        )
        self.bar.update(self.task, losses=terms)
        if not self.console.is_terminal:
            self.console.print(f"{entry['stage']} step {step}: {terms}", soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, soft_wrap=True, highlight=False)
