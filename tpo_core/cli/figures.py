"""Print the figures of an evaluation, and those that others published beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from tpo_core.evaluation import EvaluationResult, Published


def print_result(result: EvaluationResult) -> None:
    """Print the figures with their intervals, the figures by kind, the counts and the notes."""
    console = Console()
    table = Table("metric", "all", "95 % interval", title=result.benchmark)
    for name, value in result.metrics.items():
        ends = result.intervals.get(name)
        interval = "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
        table.add_row(name, _figure(value), interval)
    console.print(table)
    kinds = Table("kind", "metric", "mean", "values")
    for kind, figures in result.details.items():
        for name, figure in figures.items():
            kinds.add_row(
                escape(kind), escape(name), f"{figure['mean']:.3f}", f"{figure['count']:.0f}"
            )
            kind = ""
    console.print(kinds)
    console.print(", ".join(f"{number} {name}" for name, number in result.counts.items()))
    for note in result.notes:
        console.print(f"[yellow]note[/]: {escape(note)}", highlight=False)


def print_published(result: EvaluationResult, published: Sequence[Published]) -> None:
    """Print a result's figures above those that others published; nothing if there are none."""
    given = {name for one in published for name in one.metrics}
    names = [name for name in result.metrics if name in given]
    if not names:
        return
    console = Console()
    table = Table("model", *names, "source", title="published figures")
    ours = [_figure(result.metrics[name]) for name in names]
    table.add_row("this result", *ours, "", end_section=True)
    for one in published:
        figures = [_figure(one.metrics.get(name)) for name in names]
        source = f"{one.source} ({one.note})" if one.note else one.source
        table.add_row(one.model, *figures, source)
    console.print(table)
    if result.limit is not None:
        console.print(
            f"[yellow]note[/]: this result is of the first {result.limit} media alone; published "
            "figures are of all",
            highlight=False,
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
