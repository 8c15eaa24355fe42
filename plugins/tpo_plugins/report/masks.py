"""Predicted masks against the true ones, over the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_plugins.report import style
from tpo_plugins.report.samples import results_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_FRAMES: Final = 8
_TINT: Final = 0.55

# Inches: the figure's width, the row labels', between pictures, and of the times above them.
_WIDTH, _LEFT, _GAP, _TITLE = 9.6, 0.22, 0.06, 0.18


def draw_masks(prediction: Mapping[str, Any]) -> str:
    """Draw a strip of frames: above with the true mask, below with the predicted one.

    Args:
        prediction: Of a mask question with one target; its media file still exists.
    """
    from matplotlib.figure import Figure

    from tpo_core.media.open import open_media

    media = open_media(Path(prediction["media"]), num_frames=_FRAMES)
    assert media.frames is not None, "freshly opened media have frames"
    height, width = media.size
    cell = (_WIDTH - _LEFT) / _FRAMES
    high = (cell - _GAP) * height / width
    whole = 2 * high + _GAP + _TITLE
    figure = Figure(figsize=(_WIDTH, whole))
    truth = prediction["truth"][0]["frames"]
    found = (results_of(prediction)[0] or {"frames": {}})["frames"]
    rows = (
        ("true", truth, style.TRUE, high + _GAP),
        ("predicted", found, style.PREDICTED, 0.0),
    )
    for name, masks, colour, bottom in rows:
        for column, index in enumerate(media.indices):
            left = _LEFT + column * cell
            place = (left / _WIDTH, bottom / whole, (cell - _GAP) / _WIDTH, high / whole)
            axes = figure.add_axes(place)
            frame = media.frames[column].permute(1, 2, 0).numpy()
            _frame(axes, frame, _mask(masks, str(index)), colour=colour)
            if bottom:
                time = f"{media.times[column]:.1f} s"
                axes.set_title(time, fontsize=7.5, color=style.FAINT, pad=2)
            for prompt in prediction["prompts"]:
                if prompt["frame"] == index:
                    _prompt(axes, prompt["box"], media.size)
            if column == 0:
                axes.set_ylabel(name, fontsize=8.5, color=style.INK)
    return style.data_uri(figure)


def _mask(frames: Mapping[str, Any], index: str) -> NDArray[np.bool_] | None:
    from tpo_core.records.rle import decode

    if index not in frames:
        return None
    mask: NDArray[np.bool_] = decode(frames[index]).numpy()
    return mask


def _frame(
    axes: Axes, frame: NDArray[np.uint8], mask: NDArray[np.bool_] | None, *, colour: str
) -> None:
    import numpy as np
    from matplotlib.colors import to_rgb

    # Grey, so that the tint alone carries colour.
    grey = frame.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2) / 255 * 0.75
    if mask is not None and mask.any():
        tint = np.asarray(to_rgb(colour), np.float32)
        grey[mask] = (1 - _TINT) * frame[mask] / 255 + _TINT * tint
    axes.imshow(grey, interpolation="nearest")
    if mask is not None and mask.any():
        axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.2)
    style.bare(axes)


def _prompt(axes: Axes, box: list[float], size: tuple[int, int]) -> None:
    """Draw the box that the user gave."""
    from matplotlib.patches import Rectangle

    height, width = size
    left, top = box[0] * width - 0.5, box[1] * height - 0.5
    patch = Rectangle(
        (left, top),
        (box[2] - box[0]) * width,
        (box[3] - box[1]) * height,
        fill=False,
        edgecolor="#ffd23d",
        linewidth=1.4,
        path_effects=style.halo(2.6),
    )
    axes.add_patch(patch)
