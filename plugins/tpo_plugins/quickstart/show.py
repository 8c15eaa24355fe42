"""What the terminal sees of a quickstart: phases, time used and left, and the figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.table import Table

from tpo_plugins.quickstart.plan import Plan

if TYPE_CHECKING:
    from tpo_core.training.log import Progress


class Show:
    """Prints a line for each phase, with the bars of evaluation and training below it.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._plan: Plan | None = None
        self._phases: dict[str, str] = {}
        self._started = 0.0

    @classmethod
    def silent(cls) -> Self:
        """Return one that shows nothing."""
        return cls(Console(quiet=True))

    def begin(self, plan: Plan, phases: Sequence[tuple[str, str]], *, started: float) -> None:
        """Say what will be done.

        Args:
            plan: How much of everything.
            phases: Name and title of each phase, in order.
            started: When the quickstart began, by `time.perf_counter`.
        """
        self._plan, self._phases, self._started = plan, dict(phases), started
        whole = sum(plan.seconds_of(name) for name in self._phases)
        records = ", ".join(f"{size} {split}" for split, size in plan.sizes.items())
        self.console.print(
            f"Quickstart: {records} records, seed {plan.seed}; about {_clock(whole)} on two cores"
        )

    def phase(self, name: str) -> None:
        """Say that a phase begins, the time used and about how much is left."""
        assert self._plan is not None, "begin comes first"
        names = list(self._phases)
        left = sum(self._plan.seconds_of(later) for later in names[names.index(name) :])
        used = time.perf_counter() - self._started
        self.console.print(
            f"[bold]{names.index(name) + 1}/{len(names)} {self._phases[name]}[/]  "
            f"[dim]{_clock(used)} used, about {_clock(left)} left[/]",
            highlight=False,
        )

    def skip(self, name: str) -> None:
        """Say that a phase was done by an earlier run."""
        self.console.print(f"[dim]{self._phases[name]}: done already[/]", highlight=False)

    def evaluating(self) -> bool:
        """Return whether an evaluation shows its bar."""
        return not self.console.quiet

    @contextmanager
    def training(self) -> Iterator[Progress]:
        """Give what shows a training run."""
        from tpo_core.cli.progress import RichProgress

        with RichProgress(self.console) as progress:
            yield progress

    def end(self, metrics: Mapping[str, Any], bars: Mapping[str, float]) -> None:
        """Print the figures before and after."""
        table = Table("metric", "before", "after", "meant to reach", title_justify="left")
        for name, after in metrics["after"].items():
            before = metrics["before"][name]
            table.add_row(name, _figure(before), _figure(after), goal(name, before, bars))
        self.console.print(table)
        self.console.print(
            f"{_clock(metrics['seconds'])} min, {metrics['peak_rss_mb']:.0f} MiB at most"
        )


def goal(name: str, before: float | None, bars: Mapping[str, float]) -> str:
    """Say what a figure is meant to reach."""
    if name in bars:
        return f"{bars[name]:.2f}"
    return "-" if before is None else f"{before:.3f} (as before)"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
