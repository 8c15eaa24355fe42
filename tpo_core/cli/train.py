"""`tpo train`: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from tpo_core.cli.assignments import parse_assignments


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or YAML file.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, dotted."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The run's folder; runs/<recipe> if not given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was cut short, exactly.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is in the folder already.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the recipe as it would run, and stop.")
    ] = False,
) -> None:
    """Train as a recipe declares: stage after stage, resumable at any point.

    Each stage first shows what trains (group, parameters, learning rate). Losses go to log.jsonl in
    the run's folder, the model to its folder `model`. Under torchrun every rank runs this command.

    Example: tpo train quickstart --set data.root=runs/quickstart/world --set stages.0.steps=20
    """
    overrides = parse_assignments(assignments, example="data.root=my/data")
    from tpo_core.training import load_recipe

    loaded = load_recipe(recipe, overrides)
    if show:
        typer.echo(yaml.safe_dump(loaded.model_dump(mode="json"), sort_keys=False))
        return
    from tpo_core.cli.progress import RichProgress
    from tpo_core.training import train

    with RichProgress() as progress:
        result = train(loaded, output=out, resume=resume, overwrite=overwrite, progress=progress)
    typer.echo(f"model: {result.model_folder}")
    typer.echo(f"log: {result.log}")
    if result.bad_records:
        typer.echo(
            f"{result.bad_records} records could not be read: {result.output}/quarantine.jsonl"
        )
