"""`tpo plugins`: what is installed, what each plugin provides, and why one failed."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tpo_core.registry import PluginStatus, Status, registry

_COLOURS = {Status.OK: "green", Status.DISABLED: "yellow"}


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List installed plugins: version, hooks, what they provide, status and error.

    A plugin that failed is listed with the reason and stops nothing else, unless
    TPO_STRICT_PLUGINS is set: then this command exits with 1 and nothing can be looked up.
    TPO_PLUGINS and TPO_DISABLE_PLUGINS (comma-separated) choose which plugins load.

    Example: tpo plugins --json
    """
    rows = installed_plugins()
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        print_plugins(rows)
    if registry().switches.strict and any(row.failed for row in rows):
        raise typer.Exit(1)


def installed_plugins() -> list[PluginStatus]:
    """Load the plugins, keeping whatever they print out of this command's output."""
    with redirect_stdout(sys.stderr):
        return registry().statuses()


def print_plugins(rows: list[PluginStatus]) -> None:
    """Print a table, one plugin a row, and below it what went wrong in full."""
    table = Table("plugin", "version", "hooks", "provides", "status")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.dist} {row.version}",
            "\n".join(row.hooks),
            "\n".join(row.provides),
            f"[{_COLOURS.get(row.status, 'red')}]{row.status}[/]",
        )
    Console().print(table)
    for row in rows:
        if row.error:
            typer.echo(f"{row.name}: {row.error}")


def _as_json(row: PluginStatus) -> dict[str, object]:
    return {
        "name": row.name,
        "dist": row.dist,
        "version": row.version,
        "hooks": list(row.hooks),
        "provides": list(row.provides),
        "status": row.status.value,
        "error": row.error,
    }
