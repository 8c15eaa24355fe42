"""Predicted moments against the true ones on a timeline, with frames and saliency."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_plugins.report import style
from tpo_plugins.report.samples import results_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tpo_core.media.types import Media

_FRAMES: Final = 16
_TRUE_BAR: Final = "#3a4656"
"""The page is light here, so the true moments are dark."""

# Inches: the figure, where its rows begin and how high they are, from the bottom.
_WIDTH, _HEIGHT, _LEFT, _RIGHT = 9.6, 2.3, 0.82, 0.18
_CURVE, _BARS, _STRIP = (0.3, 0.5), (0.88, 0.55), (1.5, 0.78)


def draw_timeline(prediction: Mapping[str, Any]) -> str:
    """Draw the frames of a video along time, and below them true and predicted moments.

    Args:
        prediction: Of a temporal question with one target; its media file still exists.
    """
    from matplotlib.figure import Figure

    from tpo_core.media.open import open_media

    media = open_media(Path(prediction["media"]), num_frames=_FRAMES)
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    strip, bars, curve = (_row(figure, *place) for place in (_STRIP, _BARS, _CURVE))
    truth = prediction["truth"][0]
    found = results_of(prediction)[0]
    _frames(strip, media)
    _bars(bars, truth, found)
    _saliency(curve, truth, found, end=media.duration)
    for axes in (strip, bars, curve):
        axes.set_xlim(0, media.duration)
    curve.xaxis.set_major_formatter("{x:g} s")
    return style.data_uri(figure)


def _row(figure: Figure, bottom: float, height: float) -> Axes:
    inner = _WIDTH - _LEFT - _RIGHT
    return figure.add_axes((_LEFT / _WIDTH, bottom / _HEIGHT, inner / _WIDTH, height / _HEIGHT))


def _frames(axes: Axes, media: Media) -> None:
    """Show each frame undistorted in the middle of the time that it is on screen."""
    assert media.frames is not None, "freshly opened media have frames"
    height, width = media.size
    second = (_WIDTH - _LEFT - _RIGHT) / media.duration
    shown = pairwise([*media.times.tolist(), media.duration])
    for frame, (start, end) in zip(media.frames, shown, strict=True):
        wide = min((end - start) * second * 0.96, _STRIP[1] * width / height)
        high = wide * height / width / _STRIP[1]
        middle, half = (start + end) / 2, wide / second / 2
        extent = (middle - half, middle + half, 0.0, high)
        axes.imshow(frame.permute(1, 2, 0).numpy(), extent=extent, aspect="auto")
    axes.set_ylim(0, 1)
    style.bare(axes)


def _bars(axes: Axes, truth: Mapping[str, Any], found: Mapping[str, Any] | None) -> None:
    for start, end in truth["spans"]:
        axes.barh(1, end - start, left=start, height=0.66, color=_TRUE_BAR)
    if found is None:
        place: dict[str, Any] = {"transform": axes.transAxes, "va": "center"}
        axes.text(0.005, 0.25, "nothing predicted", fontsize=8, color=style.FAINT, **place)
    else:
        for span in found["spans"][: found["count"]]:
            width = span["end"] - span["start"]
            axes.barh(0, width, left=span["start"], height=0.66, color=style.PREDICTED)
    style.bare(axes)
    axes.set_yticks([1, 0], ["true", "predicted"], fontsize=8.5, color=style.INK)
    axes.tick_params(length=0)
    axes.set_ylim(-0.5, 1.5)


def _saliency(
    axes: Axes, truth: Mapping[str, Any], found: Mapping[str, Any] | None, *, end: float
) -> None:
    """Draw true saliency as steps, each lasting until the next, and the predicted one as a line."""
    style.quiet(axes)
    axes.spines["left"].set_visible(False)
    labelled = truth.get("saliency")
    if labelled:
        times, scores = labelled["times"], labelled["scores"]
        axes.stairs(scores, [*times, end], fill=True, color=_TRUE_BAR, alpha=0.22)
    if found is not None and found["saliency"]["times"]:
        saliency = found["saliency"]
        axes.plot(saliency["times"], saliency["scores"], color=style.PREDICTED, lw=1.5, marker=".")
    axes.set_ylim(0, 1.08)
    axes.set_yticks([])
    if axes.lines or axes.patches:
        axes.set_yticks([0.5], ["saliency"], fontsize=8.5, color=style.INK)
    axes.tick_params(axis="y", length=0)
