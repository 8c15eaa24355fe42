"""`tpo inspect NAME DIR`: what a dataset as released holds, split by split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tpo_core.cli.listing import counting_bar, print_findings, print_list, print_rows

if TYPE_CHECKING:
    from tpo_core.records.reader import ParsedRecord
    from tpo_core.records.survey import Survey


def survey(name: str, folder: Path, *, split: str | None, out: Path | None, samples: int) -> Survey:
    """Read a dataset and draw samples of it.

    Args:
        name: The dataset.
        folder: Its files.
        split: One of its splits; all that are there if None.
        out: Where to draw to; nothing is drawn if None.
        samples: How many samples to draw.
    """
    from tpo_core.records.survey import survey_dataset

    with counting_bar(f"reading {name}") as advance:
        found = survey_dataset(
            name, folder, split=split, samples=samples if out else 0, advance=advance
        )
    if out is not None:
        _draw(found.drawn, out)
    return found


def print_survey(found: Survey, *, limit: float, as_json: bool) -> None:
    """Print what was found.

    Args:
        found: The survey.
        limit: The share of conversations that may be unusable.
        as_json: Print JSON instead of tables.

    Raises:
        typer.Exit: With 1 if more than the limit cannot be used.
    """
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "limit": limit}, indent=2))
    else:
        _print(found)
    if found.share > limit:
        if not as_json:
            typer.echo(
                f"more than the {limit:.1%} allowed cannot be used; mend the files above or raise "
                "--limit",
                err=True,
            )
        raise typer.Exit(1)


def _print(found: Survey) -> None:
    for number, (name, split) in enumerate(found.splits.items()):
        if number:
            typer.echo()
        typer.echo(f"split {name}:")
        rows = [("records", str(split.records)), ("conversations", str(split.conversations))]
        rows += [(f"task: {task}", str(count)) for task, count in split.tasks.most_common()]
        rows += [(f"media: {kind}", str(count)) for kind, count in split.media.most_common()]
        rows.append(("media missing", str(split.missing)))
        rows.append(("quarantined", f"{split.quarantine.bad} ({split.quarantine.share:.1%})"))
        print_rows(rows)
        print_findings(split.quirks, split.quarantine)
    print_list("splits not read", [f"{name}: {why}" for name, why in found.absent.items()])


def _draw(records: list[ParsedRecord], out: Path) -> None:
    """Draw the samples that can be decoded; say of the others why not."""
    from tpo_core.drawing import contact_sheet
    from tpo_core.errors import RecordError
    from tpo_core.records.dataset import Sample, load_sample

    samples: list[Sample] = []
    for record in records:
        try:
            samples.append(load_sample(record, num_frames=8))
        except RecordError as error:
            typer.echo(f"not drawn: {error}", err=True)
    if samples:
        contact_sheet(samples, out)
        typer.echo(f"samples drawn to {out}", err=True)
    else:
        typer.echo("no media of this dataset is there, so nothing was drawn", err=True)
