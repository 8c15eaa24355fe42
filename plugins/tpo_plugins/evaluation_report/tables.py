"""Tables of a report: our figures with their intervals, published ones beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpo_core.errors import TpoError, UnknownName
from tpo_core.evaluation.benchmark import Published
from tpo_core.evaluation.named import open_benchmark
from tpo_core.evaluation.tally import ALL
from tpo_plugins.evaluation_report.results import Evaluated


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A figure in percent, as written.

    Args:
        figure: The figure; a dash if there is none.
        interval: Its interval; empty if there is none.
    """

    figure: str
    interval: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A row of the table of figures.

    Args:
        name: Of the model.
        cells: A figure a column.
        is_ours: Whether it was evaluated here, or published by others.
        note: How it was measured, and where it stands.
    """

    name: str
    cells: tuple[Cell, ...]
    is_ours: bool
    note: str


def published_beside(benchmark: str) -> tuple[Sequence[Published], str]:
    """Return what others published for a benchmark, and why nothing is known of it, if so."""
    try:
        return open_benchmark(benchmark).published(), ""
    except UnknownName:
        return (), f"no benchmark {benchmark} is registered here, so nothing published is shown"
    except TpoError as error:
        return (), f"nothing published is shown: {error}"


def figures_table(
    results: Sequence[Evaluated], published: Sequence[Published]
) -> tuple[list[str], list[TableRow]]:
    """Return the names of the figures, and the rows: ours, then the published ones.

    Args:
        results: Of one benchmark.
        published: Of the same.
    """
    names = list(dict.fromkeys(name for one in results for name in one.result.metrics))
    rows = [_our_row(one, names) for one in results]
    rows += [_published_row(one, names) for one in published]
    return names, rows


def kinds_table(results: Sequence[Evaluated]) -> list[tuple[str, str, list[str], int]]:
    """Return each figure by kind of question: kind, figure, our results, most values."""
    rows = []
    kinds = dict.fromkeys(kind for one in results for kind in one.result.details)
    for kind in kinds:
        if kind == ALL and len(kinds) > 1:
            continue
        given = [one.result.details.get(kind, {}) for one in results]
        for name in dict.fromkeys(name for each in given for name in each):
            found = [each.get(name, {"mean": None, "count": 0}) for each in given]
            values = [_percent(each["mean"]) if each["count"] else _percent(None) for each in found]
            rows.append((kind, name, values, int(max(each["count"] or 0 for each in found))))
    return rows


def what_differs(results: Sequence[Evaluated]) -> Iterator[str]:
    """Say what keeps results of one benchmark from being compared."""
    first = results[0]
    for one in results[1:]:
        ours, theirs = first.result.protocol, one.result.protocol
        names = sorted(
            name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
        )
        if names:
            yield (
                f"{one.label} was evaluated under another protocol than {first.label}: "
                f"{', '.join(names)}; the two cannot be compared"
            )
    for one in results:
        if one.result.limit is not None:
            yield (
                f"{one.label} was asked about the first {one.result.limit} media only; that is no "
                "figure of the whole benchmark"
            )


def _our_row(one: Evaluated, names: Sequence[str]) -> TableRow:
    result = one.result
    return TableRow(
        name=one.label,
        cells=tuple(
            Cell(
                figure=_percent(result.metrics.get(name)),
                interval=_interval(result.intervals.get(name)),
            )
            for name in names
        ),
        is_ours=True,
        note=f"{result.counts.get('questions', 0)} questions",
    )


def _published_row(one: Published, names: Sequence[str]) -> TableRow:
    return TableRow(
        name=one.model,
        cells=tuple(Cell(figure=_percent(one.metrics.get(name))) for name in names),
        is_ours=False,
        note="; ".join(filter(None, (one.note, one.source))),
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"
