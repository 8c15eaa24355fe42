"""`tpo inspect model`: a table of a model's weights by group."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

import typer


def run(name: str, *, as_json: bool = False) -> None:
    """Count a model's weights by group, without reading any of them.

    Args:
        name: `videochat_tpo`, the published model; or a saved model's folder or hub id.
        as_json: Print JSON instead of a table.

    Raises:
        CheckpointError: If there is no such model, or it is broken.
        InputError: If its backbone cannot be found.
    """
    from tpo_plugins.parameters.released import NAME, released_rows
    from tpo_plugins.parameters.saved import saved_rows
    from tpo_plugins.parameters.table import lines_of, total_of

    with redirect_stdout(sys.stderr):  # what libraries say must not end up in the JSON
        is_released = name == NAME and not Path(name).exists()
        rows = released_rows() if is_released else saved_rows(name)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in (*rows, total_of(rows))], indent=2))
        return
    for line in lines_of(rows):
        typer.echo(line)
