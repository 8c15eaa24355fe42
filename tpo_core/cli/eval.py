"""`tpo eval`: the figures of a model, or of a file of predictions, on a benchmark."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo_core.cli.assignments import parse_assignments

if TYPE_CHECKING:
    from tpo_core.evaluation import Benchmark


def run(
    benchmark: Annotated[str, typer.Argument(help="Name of a registered benchmark.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the benchmark's files.")],
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id of a saved model to evaluate.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score this in place of a model: JSONL or a JSON list with a row a question, a "
            "predictions.jsonl that this command wrote, or a folder as the benchmark's tools take "
            "it."
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change an option of the benchmark, such as its split or num_frames.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Look at the first so many media only.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write results.json and predictions.jsonl here; each answer is on disk at once."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out that was cut off, asking only what is not answered; "
            "begin if there is none; if it is finished, show its result again.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is in --out already.")
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Media whose questions are answered together; 8 if not given."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Score what is missing 0 where the official rule rewards or forgives it.",
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the predictions here in the layout that the official server takes."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Evaluate a model on a benchmark, or score a file of predictions.

    Give --model or --predictions. What a model does not predict counts as
    missing: it must emit the task tokens by itself. A folder that holds a run
    is refused unless --resume or --overwrite is given, one that holds another
    run than this with --resume too.

    On several devices: torchrun --nproc-per-node 8 --no-python tpo eval ...
    (or accelerate launch); the processes share the media, and --resume works
    with any number of them.

    Example: tpo eval tiny_world --model runs/quickstart/model --data runs/quickstart/world

    Example: tpo eval nextgqa --model M --data NExT-GQA/ --set split=val --set num_frames=64

    Example: tpo eval tiny_world --predictions answers.jsonl --data runs/quickstart/world
    """
    _check_usage(
        model=model,
        predictions=predictions,
        out=out,
        resume=resume,
        overwrite=overwrite,
        batch_size=batch_size,
    )
    from tpo_core.cli.figures import print_published, print_result
    from tpo_core.evaluation import evaluate, score_predictions
    from tpo_core.evaluation.journal import check_output
    from tpo_core.evaluation.processes import launched
    from tpo_core.evaluation.run import BATCH_SIZE

    with launched() as is_main:
        if not (is_main or model):
            return
        options = parse_assignments(assignments, example="num_frames=64")
        if strict:
            options["strict"] = True
        bench = _checked(benchmark, options, data=data, export=export)
        if out is not None and is_main:
            check_output(out, resume=resume, overwrite=overwrite)
        with redirect_stdout(sys.stderr):
            if model is not None:
                from tpo_core.build import from_pretrained

                result = evaluate(
                    bench,
                    from_pretrained(model),
                    data=data,
                    limit=limit,
                    output=out,
                    batch_size=batch_size or BATCH_SIZE,
                    resume=resume,
                    overwrite=overwrite,
                )
            else:
                result = score_predictions(
                    bench,
                    str(predictions),
                    data=data,
                    limit=limit,
                    output=out,
                    overwrite=overwrite,
                )
        if not is_main:
            return
        if export is not None:
            bench.export(result.predictions, data, export)
        if as_json:
            typer.echo(json.dumps(result.to_json(), indent=2))
        else:
            print_result(result)
            print_published(result, bench.published())


def _check_usage(
    *,
    model: str | None,
    predictions: Path | None,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    batch_size: int | None,
) -> None:
    """Refuse options that do not go together."""
    if (model is None) == (predictions is None):
        raise typer.BadParameter("expected --model or --predictions, one of them")
    if predictions is not None and (resume or batch_size is not None):
        raise typer.BadParameter("--resume and --batch-size go with --model, not --predictions")
    if resume and overwrite:
        raise typer.BadParameter("--resume goes on with a run, --overwrite replaces it; give one")
    if out is None and (resume or overwrite):
        raise typer.BadParameter("--resume and --overwrite are about the folder --out; give it too")


def _checked(
    name: str, options: Mapping[str, object], *, data: Path, export: Path | None
) -> Benchmark:
    """Make the benchmark and find out what will not work before anything is loaded.

    Raises:
        InputError: If an option is wrong, there is no data, or the predictions cannot be exported.
    """
    from tpo_core.errors import InputError
    from tpo_core.evaluation import Benchmark, open_benchmark
    from tpo_core.evaluation.named import data_folder
    from tpo_core.files import writable_folder

    bench = open_benchmark(name, **options)
    data_folder(data, bench)
    if export is not None:
        if type(bench).export is Benchmark.export:
            bench.export((), data, export)  # which says why it cannot be
        if export.exists():
            raise InputError(
                f"{export} exists already; name another file for --export, or remove it"
            )
        writable_folder(export.parent)
    return bench
