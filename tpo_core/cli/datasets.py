"""`tpo datasets`: which datasets can be read, and which files each needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Annotated

import typer

from tpo_core.registry import list_datasets
from tpo_core.specs import DatasetSpec


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """List the datasets that can be read: tasks, splits, licence, home page, files expected.

    Data are not downloaded: get them from the home page under its licence, and give the folder to
    tpo inspect and tpo convert-data.

    Example: tpo datasets --json
    """
    with redirect_stdout(sys.stderr):  # what plugins print must not end up in the JSON
        specs = list_datasets()
    if as_json:
        typer.echo(json.dumps([_as_json(spec) for spec in specs], indent=2))
        return
    for spec in specs:
        typer.echo(f"{spec.name}: {spec.summary}")
        for title, value in _rows(spec):
            typer.echo(f"  {title:<8} {value}")


def _rows(spec: DatasetSpec) -> Sequence[tuple[str, str]]:
    rows = (
        ("tasks", ", ".join(spec.tasks) or "chat, or as the data say"),
        ("splits", ", ".join(spec.splits)),
        ("licence", spec.licence),
        ("home", spec.home),
        ("files", "  ".join(spec.files)),
    )
    return [(title, value) for title, value in rows if value]


def _as_json(spec: DatasetSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "summary": spec.summary,
        "tasks": list(spec.tasks),
        "splits": list(spec.splits),
        "licence": spec.licence,
        "home": spec.home,
        "files": list(spec.files),
    }
