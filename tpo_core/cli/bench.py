"""`tpo bench`: how fast a model answers on this machine."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def run(
    model: Annotated[str, typer.Argument(help="Folder or hub id of a saved model.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames of the synthetic video.")] = 16,
    size: Annotated[int, typer.Option(min=8, help="Height and width of a frame, pixels.")] = 336,
    tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 20,
    questions: Annotated[int, typer.Option(min=1, help="Questions that share a video.")] = 4,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each row.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time a model's answers on a synthetic video: chat, several questions, and each task.

    Prints medians; nothing is judged. The attention kernels in use are in `tpo doctor`.

    Example: tpo bench runs/quickstart/model --frames 16 --size 96
    """
    from tpo_core.bench import bench
    from tpo_core.build import from_pretrained

    with redirect_stdout(sys.stderr):
        rows = bench(
            from_pretrained(model),
            frames=frames,
            height=size,
            width=size,
            tokens=tokens,
            questions=questions,
            runs=runs,
        )
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("what", "median", "best", "worst", title=f"{runs} runs each, seconds")
    for row in rows:
        table.add_row(row.what, *(f"{s:.3f}" for s in (row.median, row.best, row.worst)))
    Console().print(table)
