"""How far an evaluation is: a bar in the terminal, or a function of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""Called with how many media are done and how many there are."""


@contextmanager
def progress_bar(
    progress: bool | Progress, *, total: int, what: str
) -> Iterator[Callable[[int], None]]:
    """Give a function to be called with the number of media that are done.

    Args:
        progress: Whether to show a bar on stderr, or what to call instead.
        total: How many media there are.
        what: What the bar says.
    """
    if callable(progress):
        yield lambda done: progress(done, total)
        return
    if not progress:
        yield lambda done: None
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    bar = rich.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(f"evaluating {what}", total=total)
        yield lambda done: bar.update(task, completed=done)
