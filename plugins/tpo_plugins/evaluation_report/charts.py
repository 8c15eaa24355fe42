"""Plots of a report: the benchmark's curves, and figures by kind of question."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tpo_core.evaluation.tally import ALL
from tpo_plugins.evaluation_report.results import Evaluated
from tpo_plugins.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#12426f", "#e07b39", "#2a8c6a", "#a03a78", "#8a7a1f", "#5d6875")
"""One a result; they differ in lightness too."""
_WIDTH: Final = 9.6
_COLUMNS: Final = 3
_MOST_BARS: Final = 72
"""Above it, only the headline figure is drawn by kind."""


def colour_of(number: int) -> str:
    """Return the colour of the result of this number."""
    return COLOURS[number % len(COLOURS)]


def draw_curves(results: Sequence[Evaluated]) -> Figure | None:
    """Draw every curve, one panel each, with a line for each result.

    Args:
        results: Of one benchmark.

    Returns:
        The figure; None if no result has a curve.
    """
    names = list(dict.fromkeys(name for one in results for name in one.result.curves))
    if not names:
        return None
    columns = min(len(names), _COLUMNS)
    rows = math.ceil(len(names) / columns)
    figure, axes = style.new_figure(
        _WIDTH * columns / _COLUMNS, 2.7 * rows, rows=rows, columns=columns
    )
    for panel, name in zip(axes, names, strict=False):
        style.quiet(panel)
        panel.grid(color=style.RULE, lw=0.6)
        for number, one in enumerate(results):
            if curve := one.result.curves.get(name):
                panel.plot(
                    curve["x"],
                    [100 * height for height in curve["y"]],
                    color=colour_of(number),
                    lw=1.8,
                    ls="solid" if number < len(COLOURS) else "dashed",
                )
                panel.set_xlabel(
                    "\n".join(textwrap.wrap(curve["x_label"], 44)), fontsize=8, color=style.INK
                )
                panel.set_ylabel(f"{curve['y_label']}, %", fontsize=8, color=style.INK)
                panel.set_xlim(curve["x"][0], curve["x"][-1])
        panel.set_ylim(0, 101)
        panel.set_title(name.replace("_", " "), fontsize=9, color=style.INK, loc="left")
    for panel in axes[len(names) :]:
        panel.set_visible(False)
    return figure


def draw_kinds(
    results: Sequence[Evaluated], published: Mapping[str, Mapping[str, float]]
) -> list[Figure]:
    """Draw figures by kind of question as bars, for each result.

    Args:
        results: Of one benchmark.
        published: By figure and kind, drawn as diamonds.

    Returns:
        A plot for each figure that has two kinds or more; for the headline figure alone where they
        would be too many.
    """
    drawn = []
    for name, kinds in _several_kinds(results):
        thick = 0.12 * len(results) + 0.12
        figure, (panel,) = style.new_figure(_WIDTH / 2, 0.6 + thick * len(kinds))
        _bars(panel, name, kinds, results)
        marks = [
            (100 * published[name][kind], place)
            for place, kind in enumerate(kinds)
            if kind in published.get(name, {})
        ]
        if marks:
            panel.plot(*zip(*marks, strict=True), "D", color=style.INK, mec="white", ms=5.5)
        drawn.append(figure)
    return drawn


def _several_kinds(results: Sequence[Evaluated]) -> list[tuple[str, list[str]]]:
    """Return the figures that have several kinds, with these kinds."""
    found = []
    for name in dict.fromkeys(name for one in results for name in one.result.metrics):
        having = (
            kind
            for one in results
            for kind, figures in one.result.details.items()
            if kind != ALL and name in figures
        )
        kinds = list(dict.fromkeys(having))
        if len(kinds) > 1:
            found.append((name, kinds))
    bars = sum(len(kinds) for _, kinds in found)
    return found if bars <= _MOST_BARS else found[:1]


def _bars(panel: Axes, name: str, kinds: Sequence[str], results: Sequence[Evaluated]) -> None:
    style.quiet(panel)
    share = 0.8 / len(results)
    for number, one in enumerate(results):
        for place, kind in enumerate(kinds):
            figure: Any = one.result.details.get(kind, {}).get(name)
            if figure is not None:
                at = place + (number - (len(results) - 1) / 2) * share
                panel.barh(at, 100 * figure["mean"], height=share * 0.9, color=colour_of(number))
    panel.set_yticks(range(len(kinds)), kinds, fontsize=7.5, color=style.INK)
    panel.set_ylim(len(kinds) - 0.5, -0.5)
    panel.set_xlim(0, 100)
    panel.tick_params(axis="y", length=0)
    panel.set_title(f"{name}, %", fontsize=9, color=style.INK, loc="left")
