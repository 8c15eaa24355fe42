"""`tpo quickstart`: the main job on the embedded tiny world."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def run(
    out: Annotated[Path, typer.Option(help="Folder for everything it writes.")] = Path(
        "runs/quickstart"
    ),
    budget: Annotated[
        float | None,
        typer.Option(help="Seconds it may take on two CPU cores; trains less if short."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of world, weights and data order.")] = 0,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where a run in this folder was cut short."),
    ] = False,
) -> None:
    """Attach region, temporal and mask heads to the tiny backbone, train, evaluate, report.

    Writes the embedded world's videos and records, evaluates its test split before and after the
    three stages of training, and leaves the model, metrics.json and report.html in the folder.
    Without --resume an earlier quickstart in the folder is replaced.

    Example: tpo quickstart --out runs/quickstart --budget 300
    """
    # The libraries' own bars and deprecations, which a user can do nothing about, tear the display.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    from tpo_plugins.quickstart.run import quickstart
    from tpo_plugins.quickstart.show import Show

    show = Show(Console(stderr=True))
    quickstart(out, budget=budget, seed=seed, resume=resume, show=show)
    for name in ("model", "metrics.json", "report.html"):
        typer.echo(f"{name.partition('.')[0]}: {out / name}")
