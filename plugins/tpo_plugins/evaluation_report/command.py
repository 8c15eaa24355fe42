"""`tpo report`: one page about the results of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpo_plugins.evaluation_report.write import SAMPLES, write_evaluation_report


def run(
    results: Annotated[
        list[Path], typer.Argument(help="Folders that tpo eval --out wrote, one or several.")
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    samples: Annotated[
        int, typer.Option(min=0, help="How many right, wrong and unscored samples of each result.")
    ] = SAMPLES,
    seed: Annotated[int, typer.Option(help="Says which samples.")] = 0,
) -> None:
    """Write tables, curves and samples of results as one HTML file that needs no other.

    Results of several models and benchmarks may be given; published figures stand beside ours.
    Samples are drawn on their media where these are still in their place.

    Example: tpo report runs/base runs/trained --out report.html
    """
    typer.echo(write_evaluation_report(results, out, samples=samples, seed=seed))
