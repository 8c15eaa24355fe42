"""`tpo convert-data`: a dataset as released, written as records."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo_core.cli.listing import counting_bar, print_findings, print_rows

if TYPE_CHECKING:
    from tpo_core.records.convert import Conversion


def run(
    name: Annotated[str, typer.Argument(help="A dataset, as tpo datasets lists it.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with its files.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The JSONL file to write.")],
    split: Annotated[
        str | None, typer.Option(help="One split; all that are there if left out.")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=0, max=1, help="Share of conversations that may be unusable.")
    ] = 0.01,
    check_media: Annotated[
        bool, typer.Option("--check-media", help="Leave out records whose media file is missing.")
    ] = False,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Write media paths absolute, not from OUT's folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Write any dataset as records, which training, tpo inspect and everything else read.

    What cannot be used is left out and listed; above the limit nothing is written. OUT appears
    only when it is complete.

    Example: tpo convert-data charades_sta data/charades data/charades/train.jsonl --split train
    """
    from tpo_core.records.convert import convert_dataset

    with redirect_stdout(sys.stderr), counting_bar(f"converting {name}") as advance:
        done = convert_dataset(
            name,
            folder,
            out,
            split=split,
            limit=limit,
            check_media=check_media,
            absolute=absolute,
            advance=advance,
        )
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=2))
    else:
        _print(done)


def _print(done: Conversion) -> None:
    rows = [("records", str(done.records)), ("conversations", str(done.conversations))]
    rows += [(f"task: {task}", str(count)) for task, count in done.tasks.most_common()]
    rows.append(("quarantined", f"{done.quarantine.bad} ({done.quarantine.share:.1%})"))
    print_rows(rows)
    print_findings(done.quirks, done.quarantine)
    typer.echo(f"\nrecords written to {done.out}")
    if done.leaves_folder:
        typer.echo(
            f"media lie outside {done.out.parent}: read it with --allow-outside, in recipes with "
            "allow_outside: true, or write it into the data folder instead"
        )
