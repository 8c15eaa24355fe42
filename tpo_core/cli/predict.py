"""`tpo predict`: ask a model about a picture or a video."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo_core.errors import MediaError

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.results import Result


def run(
    media: Annotated[str, typer.Argument(help="A picture or video file.")],
    question: Annotated[str, typer.Argument(help="What to ask; <region> in it stands for --box.")],
    model: Annotated[str, typer.Option(help="Folder or hub id of a saved model.")],
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X1,Y1,X2,Y2",
            help="A box from 0 to 1 of width and height, one for each <region> in the question.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Answer with this task, such as region or temporal.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Overlay picture or video; <media>_answer.png or .mp4 here if not given."
        ),
    ] = None,
    overlay: Annotated[bool, typer.Option(help="Whether to write an overlay.")] = True,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 64,
    num_frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a video to look at; as trained by default.")
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Sample instead of taking the likeliest words.")
    ] = False,
    temperature: Annotated[float, typer.Option(help="Of sampling; lower is safer.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Sample within this share of probability.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Makes samples reproducible.")] = None,
    beams: Annotated[int, typer.Option(min=1, help="Hypotheses of beam search; 1 for none.")] = 1,
) -> None:
    """Ask a model about a picture or a video; print its answer, and draw boxes, moments and masks.

    Boxes are printed in pixels, moments in seconds.

    Example: tpo predict clip.mp4 "When does the red circle appear?" --model runs/quickstart/model
    """
    if not question.strip():
        raise typer.BadParameter("it is empty; expected some text", param_hint="QUESTION")
    boxes = [parse_box(text) for text in box or []]
    if not Path(media).exists():
        raise MediaError(f"{media} does not exist; check the path")
    from tpo_core.build import from_pretrained

    with redirect_stdout(sys.stderr):
        answer = from_pretrained(model).predict(
            media,
            question,
            box=boxes or None,
            task=task,
            num_frames=num_frames,
            max_new_tokens=max_new_tokens,
            do_sample=sample,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            num_beams=beams,
        )
    if not as_json:
        print_answer(answer)
    written = None
    if overlay and answer.results:
        written = answer.save_overlay(out or Path(f"{Path(media).stem}_answer"))
    if as_json:
        place = None if written is None else str(written)
        typer.echo(json.dumps({**answer.to_json(), "overlay": place}))
    elif written is not None:
        typer.echo(f"overlay: {written}")


def parse_box(text: str) -> tuple[float, ...]:
    """Read `x1,y1,x2,y2`.

    Raises:
        typer.BadParameter: If it is not four numbers; their range is checked with the question.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise typer.BadParameter(
            f"{text!r}; expected four numbers from 0 to 1, x1,y1,x2,y2", param_hint="--box"
        )
    return values


def print_answer(answer: Answer) -> None:
    """Print the text, and each result with units."""
    typer.echo(answer.text)
    size = answer.media.size if answer.media is not None else (0, 0)
    for task, result in answer.results:
        for line in _lines(result, size):
            typer.echo(f"{task}: {line}")
    for note in answer.media.notes if answer.media is not None else ():
        typer.echo(f"note: {note}", err=True)
    if answer.finish_reason == "length":
        typer.echo("note: cut at --max-new-tokens", err=True)


def _lines(result: Result, size: tuple[int, int]) -> list[str]:
    """Say what a result is, with units."""
    from tpo_core.results import Box, Moments

    if isinstance(result, Box):
        x1, y1, x2, y2 = result.pixels(size)
        return [f"box {x1:.0f},{y1:.0f} to {x2:.0f},{y2:.0f} px of {size[1]} x {size[0]}, {result}"]
    if isinstance(result, Moments):
        return [
            f"{span.start:.2f} to {span.end:.2f} s, score {span.score:.2f}"
            for span in result.spans[: result.count]
        ]
    return [str(result)]
