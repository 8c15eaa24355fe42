"""`tpo inspect`: what record files or a dataset hold and what of it cannot be used."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tpo_core.cli.listing import print_list, print_rows
from tpo_core.errors import InputError

if TYPE_CHECKING:
    from tpo_core.records.inspection import Inspection
    from tpo_core.records.reader import RecordFile

# Of another layer, so named and not imported.
_MODEL = "tpo_plugins.parameters.command"


def run(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA|NAME|model",
            help="A JSONL file of records, or a folder of them; a dataset; or the word model.",
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The dataset's folder, or the model.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw a sheet of samples with their labels here (.png).")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many samples to draw.")] = 12,
    limit: Annotated[
        float, typer.Option(min=0, max=1, help="Share of records that may be unusable.")
    ] = 0.01,
    split: Annotated[
        str | None, typer.Option(help="One split of the dataset; all that are there if left out.")
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Media may lie outside the records' folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Count records, targets and media, list what cannot be used and why, draw samples.

    Of record files every record is validated and its media decoded, as training does; no model is
    needed. Of a dataset as released (tpo inspect NAME DIR) every record is validated, split by
    split, its media looked for, and the oddities of its files are counted.

    Exits with 1 if more records than the limit allows cannot be used.

    Example: tpo inspect runs/quickstart/world --out sheet.png

    Of a model (tpo inspect model NAME), a saved one or `videochat_tpo` as released, the weights are
    counted by group; none is read.

    Example: tpo inspect charades_sta data/charades --split test

    Example: tpo inspect model videochat_tpo
    """
    if data == "model" and folder is not None:
        import_module(_MODEL).run(str(folder), as_json=as_json)
        return
    if folder is not None:
        from tpo_core.cli import inspect_dataset

        with redirect_stdout(sys.stderr):
            survey = inspect_dataset.survey(data, folder, split=split, out=out, samples=samples)
        inspect_dataset.print_survey(survey, limit=limit, as_json=as_json)
        return
    if split is not None:
        raise typer.BadParameter("a split is of a dataset; give its name and its folder")
    if data == "model" and not Path(data).exists():
        raise typer.BadParameter("give the model too: a saved model's folder, or videochat_tpo")
    with redirect_stdout(sys.stderr):  # what libraries say must not end up in the JSON
        files = _open_files(data, allow_outside=allow_outside)
        found = _inspect(files, limit=limit)
        if out is not None:
            _draw(files, found, out, samples=samples)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print(found)
        if out is not None and found.good:
            typer.echo(f"samples drawn to {out}")
    if found.too_many_bad:
        raise typer.Exit(1)


def _open_files(data: str, *, allow_outside: bool) -> list[RecordFile]:
    """Open the record files with the target models of every registered head."""
    from tpo_core.records.reader import RecordFile, record_files
    from tpo_core.records.validate import registered_rules
    from tpo_core.registry import list_datasets

    if data in {spec.name for spec in list_datasets()} and not Path(data).exists():
        raise InputError(f"{data} is a dataset; give the folder with its files too")
    rules = registered_rules()
    return [
        RecordFile(
            path,
            targets=rules.targets,
            prompts=rules.prompts,
            reserved=rules.reserved,
            allow_outside=allow_outside,
        )
        for path in record_files(data)
    ]


def _inspect(files: list[RecordFile], *, limit: float) -> Inspection:
    from tpo_core.records.inspection import inspect_files

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading records", total=sum(len(file) for file in files))
        return inspect_files(files, limit=limit, advance=lambda: bar.advance(task))


def _draw(files: list[RecordFile], found: Inspection, out: Path, *, samples: int) -> None:
    from tpo_core.drawing import contact_sheet
    from tpo_core.records.dataset import load_sample

    pictured = [
        load_sample(files[number].parse(index), num_frames=8)
        for number, index in found.spread(samples)
    ]
    if any(sample.media is not None for sample in pictured):
        contact_sheet(pictured, out)


def _print(found: Inspection) -> None:
    from tpo_core.records.validate import CHAT

    rows = [(name, f"{count} records") for name, count in found.files.items()]
    rows.append(("conversations", str(found.branches)))
    for name, count in found.tasks.most_common():
        rows.append((f"targets: {name}" if name != CHAT else "chat, no target", str(count)))
    rows += [(f"prompts: {name}", str(count)) for name, count in found.prompts.most_common()]
    rows += [(f"media: {name}", str(count)) for name, count in found.media.most_common()]
    if seconds := found.duration_summary():
        span = f"{seconds['min']:g} to {seconds['max']:g} s"
        rows.append(("video length", f"{span}, median {seconds['median']:g} s"))
    for (height, width), count in found.sizes.most_common(5):
        rows.append((f"width x height: {width} x {height}", str(count)))
    rows.append(("labels clipped", str(found.quarantine.clipped)))
    rows.append(("quarantined", f"{found.quarantine.bad} ({found.quarantine.share:.1%})"))
    print_rows(rows)
    print_list("notes", found.notes)
    print_list("quarantined", [str(sample) for sample in found.quarantine.entries.values()])
    if found.too_many_bad:
        typer.echo(
            f"more than the {found.quarantine.limit:.1%} allowed cannot be used; mend the records "
            "above or raise --limit",
            err=True,
        )
