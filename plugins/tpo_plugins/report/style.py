"""Colours and sizes of a report's pictures, and how a figure becomes part of a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# No shape of the world has these two colours, and they differ in lightness too.
PREDICTED: Final = "#ff3d9a"
TRUE: Final = "#ffffff"
HALO: Final = "#101418"
GROUND: Final = "#4a4f57"
"""A grey like the world's backgrounds."""

INK: Final = "#1c2430"
FAINT: Final = "#6b7684"
RULE: Final = "#d9dee5"
STAGES: Final = ("#7a8ca3", "#2f6fb0", "#12426f")
"""One colour a stage of training, darker with time."""

_DPI: Final = 160


def new_figure(
    width: float, height: float, *, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes in reading order, without touching pyplot's state.

    Args:
        width: Inches.
        height: Inches.
        rows: Rows of axes.
        columns: Columns of axes.
        **options: For `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def picture_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure that is all picture.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((0, 0, 1, 1))


def data_uri(figure: Figure) -> str:
    """Return a figure as the address of an image inside the page."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def bare(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def quiet(axes: Axes) -> None:
    """Keep thin left and bottom lines and small grey labels."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)
    axes.tick_params(colors=FAINT, labelsize=7, length=2)


def halo(width: float) -> Sequence[Any]:
    """Return the path effect that keeps a line visible on any background."""
    from matplotlib import patheffects

    return [patheffects.Stroke(linewidth=width, foreground=HALO), patheffects.Normal()]
