"""`tpo plugins`: what is installed, what each plugin provides, and why one failed."""

from __future__ import annotations

import json
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
    TPO_STRICT_PLUGINS is set: then this command exits with 1 and every other one refuses to run.
    TPO_PLUGINS and TPO_DISABLE_PLUGINS (comma-separated) choose which plugins load.

    Example: tpo plugins --json
    """
    rows = registry().statuses()
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        Console().print(status_table(rows))
    if registry().switches.strict and any(row.failed for row in rows):
        raise typer.Exit(1)


def status_table(rows: list[PluginStatus]) -> Table:
    """Lay plugins out, one row each."""
    table = Table()
    for column in ("plugin", "version", "hooks", "provides", "status"):
        table.add_column(column, overflow="fold")
    table.add_column("error", overflow="fold", ratio=1)
    for row in rows:
        table.add_row(
            row.name,
            f"{row.dist} {row.version}",
            "\n".join(row.hooks),
            "\n".join(row.provides),
            f"[{_COLOURS.get(row.status, 'red')}]{row.status}[/]",
            row.error,
        )
    return table


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
