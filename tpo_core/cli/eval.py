"""`tpo eval`: the figures of a model on a benchmark."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tpo_core.evaluation import EvaluationResult


def run(
    benchmark: Annotated[str, typer.Argument(help="Name of a registered benchmark.")],
    model: Annotated[str, typer.Option(help="Folder or hub id of a saved model.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the benchmark's files.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Look at the first so many media only.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write results.json and predictions.jsonl here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Evaluate a model on a benchmark.

    What a model does not predict scores 0: it must emit the task tokens by itself.

    Example: tpo eval tiny_world --model runs/quickstart/model --data runs/quickstart/world
    """
    from tpo_core.build import from_pretrained
    from tpo_core.evaluation import evaluate, writable_folder
    from tpo_core.registry import get_benchmark

    get_benchmark(benchmark)
    if out is not None:
        writable_folder(out)
    with redirect_stdout(sys.stderr):
        loaded = from_pretrained(model)
        result = evaluate(benchmark, loaded, data=data, limit=limit, output=out)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
    else:
        print_result(result)


def print_result(result: EvaluationResult) -> None:
    """Print the figures, the figures by kind, the counts and the notes."""
    console = Console()
    table = Table("metric", "all", title=result.benchmark)
    for name, value in result.metrics.items():
        table.add_row(name, "-" if value is None else f"{value:.3f}")
    console.print(table)
    kinds = Table("kind", "metric", "mean", "values")
    for kind, figures in result.details.items():
        for name, figure in figures.items():
            kinds.add_row(kind, name, f"{figure['mean']:.3f}", f"{figure['count']:.0f}")
            kind = ""
    console.print(kinds)
    console.print(", ".join(f"{number} {name}" for name, number in result.counts.items()))
    for note in result.notes:
        console.print(f"[yellow]note[/]: {note}", highlight=False)
