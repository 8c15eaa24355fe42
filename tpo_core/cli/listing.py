"""Plain rows and lists for commands that count, and a bar for work of unknown length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from tpo_core.records.quarantine import Quarantine

MOST_LISTED = 20


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    column = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{column}}  {value}")


def print_list(title: str, lines: Sequence[str]) -> None:
    """Print the first lines; plain, so that paths are neither wrapped nor coloured."""
    if not lines:
        return
    typer.echo(f"\n{title}:")
    for line in lines[:MOST_LISTED]:
        typer.echo(f"  {line}")
    if len(lines) > MOST_LISTED:
        typer.echo(f"  and {len(lines) - MOST_LISTED} more; --json lists all")


def print_findings(quirks: Counter[str], quarantine: Quarantine) -> None:
    """Print what was odd in a dataset and dealt with, and what could not be used."""
    print_list("quirks", [f"{quirk}: {count}" for quirk, count in (+quirks).most_common()])
    print_list("quarantined", [str(sample) for sample in quarantine.entries.values()])


@contextmanager
def counting_bar(title: str) -> Iterator[Callable[[], object]]:
    """Show how many records were read, on a terminal; yields what to call after each."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:.0f} records"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda: bar.advance(task)
