"""Pictures of whole answers and of samples: film strips with a timeline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core.drawing.frames import Marks, colours_of, draw_frames, label_marks
from tpo_core.errors import InputError
from tpo_core.media.sampling import choose_frames
from tpo_core.media.types import Media
from tpo_core.media.write import write_image
from tpo_core.records.schema import RegionPrompt
from tpo_core.results import Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from tpo_core.records.dataset import Sample

# Sizes in inches: a layout of fixed parts, since matplotlib's solvers take seconds for a sheet.
_MARGIN = 0.1
_TITLE_LINE = 0.17
_TIME_LABEL = 0.18
_TIMELINE_ROW = 0.32
_TIMELINE_AXIS = 0.42
_CELL_WIDTH = 8.0
_DOTS_PER_INCH = 100


def draw_result(
    media: Media,
    marks: Marks,
    *,
    prompts: Sequence[Any] = (),
    title: str = "",
    max_frames: int = 8,
    width: float | None = None,
    frame_width: float = 4.0,
) -> Tensor:
    """Draw results as one picture: of a video, a film strip and a timeline of its moments.

    Args:
        media: The media with frames.
        marks: What to draw, each in a colour of its own, with what to call it.
        prompts: Boxes the user gave, drawn in white on their frame.
        title: Text above.
        max_frames: How many frames of a video to show.
        width: Width in inches of 100 pixels; by the number of frames if None.
        frame_width: Width in inches that a frame may have at most.

    Returns:
        uint8 RGB `[3, H, W]`.

    Raises:
        InputError: If the media came without frames.
    """
    from matplotlib.figure import Figure

    frames = draw_frames(media, marks, prompts=prompts)
    shown = _shown(media, prompts, max_frames)
    width = width or max(5.0, 2.0 * len(shown))
    lines = _wrapped(title, width)
    moments = [
        (label, result, colour)
        for (label, result), colour in zip(marks, colours_of(marks), strict=True)
        if isinstance(result, Moments)
    ]
    frame_width = min((width - _MARGIN) / len(shown) - _MARGIN, frame_width)
    frame_height = frame_width * media.size[0] / media.size[1]
    title_height = _MARGIN + _TITLE_LINE * len(lines)
    label_height = _TIME_LABEL if media.kind == "video" else 0.0
    timeline = _TIMELINE_AXIS + _TIMELINE_ROW * len(moments) if moments else 0.0
    height = title_height + label_height + frame_height + _MARGIN + timeline
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH)
    figure.text(_MARGIN / width, 1 - _MARGIN / height / 2, "\n".join(lines), fontsize=9, va="top")
    bottom = height - title_height - label_height - frame_height
    for column, number in enumerate(shown):
        left = _MARGIN + column * (frame_width + _MARGIN)
        axes = _axes(figure, (left, bottom, frame_width, frame_height))
        axes.imshow(frames[number].permute(1, 2, 0).numpy(), aspect="auto")
        axes.set_axis_off()
        if media.kind == "video":
            axes.set_title(f"{float(media.times[number]):.2f} s", fontsize=8, pad=2)
    if moments:
        rows = _TIMELINE_ROW * len(moments)
        box = (_MARGIN, timeline - rows, width - 2 * _MARGIN, rows)
        _draw_timeline(_axes(figure, box), moments, duration=media.duration)
    return _pixels(figure)


def contact_sheet(samples: Sequence[Sample], path: str | Path, *, columns: int = 2) -> None:
    """Draw samples of a dataset with their labels on one sheet.

    Of each sample one conversation is shown, of the tasks that the sheet has the fewest of.

    Args:
        samples: The samples; those without media are left out.
        path: Where to; a picture.
        columns: How many samples to put side by side.

    Raises:
        InputError: If there is nothing to draw or the file cannot be written.
    """
    import torch

    tasks_shown: dict[tuple[str, ...], int] = {}
    cells: list[Tensor] = []
    for sample in samples:
        if sample.media is None:
            continue
        tasks = [tuple(mark for mark, _ in label_marks(items)) for items in sample.targets]
        times_shown = [tasks_shown.get(kind, 0) for kind in tasks]
        branch = times_shown.index(min(times_shown))
        tasks_shown[tasks[branch]] = tasks_shown.get(tasks[branch], 0) + 1
        turns = sample.record.branches[branch].messages[-2:]
        cells.append(
            draw_result(
                sample.media,
                label_marks(sample.targets[branch]),
                prompts=sample.prompts[branch],
                title="\n".join(
                    (sample.record.id, *(f"{turn.role}: {turn.content}" for turn in turns))
                ),
                max_frames=5,
                width=_CELL_WIDTH,
                frame_width=2.4,
            )
        )
    if not cells:
        raise InputError("no sample has media to draw; choose other records")
    stacks: list[list[Tensor]] = [[] for _ in range(min(columns, len(cells)))]
    heights = [0] * len(stacks)
    for cell in cells:  # each to the column that is the shortest so far
        shortest = heights.index(min(heights))
        stacks[shortest].append(cell)
        heights[shortest] += cell.shape[1]
    sheet = [_padded(torch.cat(stack, dim=1), max(heights)) for stack in stacks]
    write_image(path, torch.cat(sheet, dim=2))


def _shown(media: Media, prompts: Sequence[Any], most: int) -> tuple[int, ...]:
    """Return up to `most` positions in the media's frames, evenly spread; prompts' frames stay."""
    given = {prompt.frame for prompt in prompts if isinstance(prompt, RegionPrompt)}
    total = len(media.indices)
    return choose_frames(
        range(total),
        duration=total,
        num_frames=most,
        required={place for place, index in enumerate(media.indices) if index in given},
    )


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Add axes at left, bottom, width and height in inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))


def _draw_timeline(
    axes: Axes, moments: Sequence[tuple[str, Moments, str]], *, duration: float
) -> None:
    """Draw the moments of each mark in a row of bars, its saliency as a line over them."""
    for row, (label, result, colour) in enumerate(moments):
        bars = [(span.start, span.end - span.start) for span in result.spans[: result.count]]
        axes.broken_barh(bars, (-row - 0.4, 0.8), facecolors=colour, alpha=0.6)
        if result.times:
            heights = [score * 0.7 - row - 0.35 for score in result.saliency]
            axes.plot(result.times, heights, color="#333333", linewidth=1, marker=".", markersize=3)
        axes.annotate(label, (0, -row), xytext=(4, 0), textcoords="offset points", fontsize=8)
    axes.set_yticks([])
    axes.set_xlim(0, duration)
    axes.set_ylim(-len(moments) + 0.5, 0.5)
    axes.tick_params(labelsize=8, pad=1)
    axes.set_xlabel("seconds", fontsize=8, labelpad=1)


def _wrapped(title: str, width: float) -> list[str]:
    """Wrap each line of a title to a figure's width in inches, at about 13 characters an inch."""
    return [
        part for line in title.splitlines() for part in textwrap.wrap(line, int(width * 13)) or [""]
    ]


def _pixels(figure: Figure) -> Tensor:
    import numpy as np
    import torch
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's own gap
    rgb = np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
    return torch.from_numpy(rgb).permute(2, 0, 1)


def _padded(picture: Tensor, height: int) -> Tensor:
    """Fill up with white at the bottom."""
    from torch.nn.functional import pad

    return pad(picture, (0, 0, 0, height - picture.shape[1]), value=255)
