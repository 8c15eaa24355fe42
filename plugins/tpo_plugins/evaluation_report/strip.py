"""A strip of frames, with true and predicted masks or boxes if there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.errors import InputError
from tpo_core.evaluation import Prediction
from tpo_plugins.evaluation_report.evidence import Evidence, Frames
from tpo_plugins.report import style

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tpo_core.media.types import Media

GIVEN: Final = "#ffd23d"
"""Of the box that the user gave."""
_FRAMES: Final = 6
_TINT: Final = 0.55

# Inches: the figure's width, the row labels', between pictures, and of the times above them.
_WIDTH, _LEFT, _GAP, _TITLE = 9.6, 0.22, 0.06, 0.18


def draw_strip(prediction: Prediction, evidence: Evidence) -> str:
    """Draw frames: of masks and boxes those that have one, true ones above predicted ones.

    Args:
        prediction: Its media file still exists.
        evidence: Of the form `mask`, `boxes` or `words`.

    Raises:
        TpoError: If the media cannot be read.
    """
    from matplotlib.figure import Figure

    path = Path(prediction.media)
    true, found = (_numbered(each, path) for each in (evidence.true_frames, evidence.found_frames))
    media = _open(path, among=sorted(true or found))
    assert media.frames is not None, "freshly opened media have frames"
    height, width = media.size
    columns = len(media.indices)
    cell = (_WIDTH - _LEFT) / _FRAMES
    high = (cell - _GAP) * height / width
    rows = [("" if evidence.form == "words" else "predicted", found, style.PREDICTED)]
    if true:
        rows.append(("true", true, style.TRUE))
    whole = len(rows) * (high + _GAP) + _TITLE
    size = (_LEFT + columns * cell, whole)
    figure = Figure(figsize=size)
    for row, (name, frames, colour) in enumerate(rows):
        for column, index in enumerate(media.indices):
            inches = (_LEFT + column * cell, row * (high + _GAP), cell - _GAP, high)
            axes = figure.add_axes(_relative(inches, size))
            picture = media.frames[column].permute(1, 2, 0).numpy()
            _show(axes, picture, frames.get(index), form=evidence.form, colour=colour)
            style.bare(axes)
            for prompt in prediction.prompts:
                if prompt.get("frame", 0) == index:
                    _outline(axes, _pixels(prompt["box"], media.size), colour=GIVEN, width=1.4)
            if row == len(rows) - 1 and media.kind == "video":
                when = f"{float(media.times[column]):.1f} s"
                # A folder of pictures does not say how fast they follow each other.
                title = f"frame {index}" if path.is_dir() else when
                axes.set_title(title, fontsize=7.5, color=style.FAINT, pad=2)
            if column == 0:
                axes.set_ylabel(name, fontsize=8.5, color=style.INK)
    return style.data_uri(figure)


def _numbered(frames: Frames, path: Path) -> Mapping[int, Any]:
    """Return values by the number of the frame; in a folder, names of pictures stand for it.

    Raises:
        InputError: If it cannot be told which pictures of a folder the values are of.
    """
    from tpo_core.media.frames_folder import frame_files

    if not path.is_dir():
        return {int(name): value for name, value in frames.items()}
    stems = {file.stem: number for number, file in enumerate(frame_files(path))}
    if frames and all(name in stems for name in frames):
        return {stems[str(name)]: value for name, value in frames.items()}
    if frames and len(frames) != len(stems):
        raise InputError(
            f"{path} holds {len(stems)} pictures and {len(frames)} frames are known by number, not "
            "by name"
        )
    return {int(name): value for name, value in frames.items()}


def _open(path: Path, *, among: Sequence[int]) -> Media:
    """Open frames evenly spread among some; among all if these are none."""
    from tpo_core.media.open import open_media

    def choose(starts: Sequence[float], **options: Any) -> tuple[int, ...]:
        there = [index for index in among if index < len(starts)] or list(range(len(starts)))
        count = min(_FRAMES, len(there))
        places = (round(step * (len(there) - 1) / max(count - 1, 1)) for step in range(count))
        return tuple(sorted({there[place] for place in places}))

    return open_media(path, num_frames=_FRAMES, choose=choose)


def _relative(inches: Sequence[float], size: Sequence[float]) -> tuple[float, float, float, float]:
    left, bottom, wide, high = inches
    width, height = size
    return left / width, bottom / height, wide / width, high / height


def _show(axes: Axes, picture: NDArray[np.uint8], value: Any, *, form: str, colour: str) -> None:
    if form == "mask":
        _tinted(axes, picture, value, colour=colour)
        return
    axes.imshow(picture, interpolation="nearest")
    if value is not None and min(value[2:]) > 0:
        _outline(axes, value, colour=colour, width=2.0)


def _tinted(axes: Axes, picture: NDArray[np.uint8], value: Any, *, colour: str) -> None:
    """Show a picture in grey, so that the mask alone carries colour."""
    import numpy as np
    from matplotlib.colors import to_rgb

    from tpo_core.records.rle import decode

    grey = picture.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2) / 255 * 0.75
    mask = None if value is None else decode(value).numpy()
    shown = mask if mask is not None and mask.shape == picture.shape[:2] and mask.any() else None
    if shown is not None:
        tint = np.asarray(to_rgb(colour), np.float32)
        grey[shown] = (1 - _TINT) * picture[shown] / 255 + _TINT * tint
    axes.imshow(grey, interpolation="nearest")
    if shown is not None:
        axes.contour(shown.astype(float), levels=[0.5], colors=[colour], linewidths=1.2)


def _pixels(box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, top, width and height in pixels of a normalised xyxy box."""
    height, width = size
    return box[0] * width, box[1] * height, (box[2] - box[0]) * width, (box[3] - box[1]) * height


def _outline(axes: Axes, box: Sequence[float], *, colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    left, top, wide, high = box
    patch = Rectangle(
        (left - 0.5, top - 0.5),
        wide,
        high,
        fill=False,
        edgecolor=colour,
        linewidth=width,
        path_effects=style.halo(width + 1.3),
    )
    axes.add_patch(patch)
