"""Predicted boxes against the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_plugins.report import style
from tpo_plugins.report.samples import results_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_boxes(prediction: Mapping[str, Any]) -> str:
    """Draw a picture with the true boxes dashed and the predicted ones solid.

    Args:
        prediction: Of a region question; its media file still exists.
    """
    from tpo_core.media.open import open_media

    media = open_media(Path(prediction["media"]), num_frames=1)
    assert media.frames is not None, "freshly opened media have frames"
    height, width = media.size
    figure, axes = style.picture_figure(2.3, 2.3 * height / width)
    axes.imshow(media.frames[0].permute(1, 2, 0).numpy(), interpolation="nearest")
    style.bare(axes)
    for target in prediction["truth"]:
        _box(axes, target["box"], (width, height), colour=style.TRUE, dashes=(0, (3, 2)))
    for found in results_of(prediction):
        if found is not None:
            _box(axes, found["box"], (width, height), colour=style.PREDICTED, dashes="solid")
    return style.data_uri(figure)


def _box(
    axes: Axes, box: Sequence[float], size: tuple[int, int], *, colour: str, dashes: Any
) -> None:
    from matplotlib.patches import Rectangle

    (left, right), (top, bottom) = (
        (box[axis] * size[axis] - 0.5, box[axis + 2] * size[axis] - 0.5) for axis in (0, 1)
    )
    patch = Rectangle(
        (left, top),
        right - left,
        bottom - top,
        fill=False,
        edgecolor=colour,
        linewidth=2,
        linestyle=dashes,
        path_effects=style.halo(3.4),
    )
    axes.add_patch(patch)
