"""`tpo features`: features of videos computed once, for heads that read them from files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tpo_plugins.progress import file_bar


class Action(StrEnum):
    """What can be done with features."""

    EXTRACT = "extract"


def run(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    videos: Annotated[Path, typer.Argument(help="A folder of videos, at any depth.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; the same one to go on.")],
    extractor: Annotated[
        str, typer.Option(help="internvideo2, or backbone for a model's own vision tower.")
    ],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the extractor."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="A JSONL file; writes features of its questions about moments too."),
    ] = None,
) -> None:
    """Write the clip features of each video to OUT/clip, those of questions to OUT/text.

    Heads read them with features: {files: {videos: OUT/clip, texts: OUT/text}}. Videos that have
    their features already are passed over; one that cannot be used is reported at the end.

    Exits with 1 if any video failed.

    Example: tpo features extract videos/ features/ --extractor internvideo2 --set
    stage2=InternVideo2-stage2_1b-224p-f4.pt --set delta=1B_clip.pth
    """
    assert action is Action.EXTRACT, "the only action there is"
    import torch

    from tpo_core.cli.assignments import parse_assignments
    from tpo_plugins.features.extract import claim, extract, video_files
    from tpo_plugins.features.extractors import build_extractor
    from tpo_plugins.features.questions import Questions, read_questions

    options = parse_assignments(assignments, example="stage2=weights.pt")
    paths = video_files(videos)
    questions = Questions() if records is None else read_questions(records)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    built = build_extractor(extractor, options, device=device)
    claim(out, extractor=extractor, options=options)
    with file_bar() as bar:
        task = bar.add_task("videos", total=len(paths))

        def progress(path: Path) -> None:
            bar.update(task, description=path.name, advance=1)

        done = extract(paths, out, built, questions=questions.by_stem, progress=progress)
    absent = sorted(questions.by_stem.keys() - {path.stem for path in paths})
    failed = done.failed | questions.bad
    failed |= {f"{records}: {stem}": f"{videos} holds no such video" for stem in absent}
    there = f" ({done.kept} had theirs already)" if done.kept else ""
    count = len(done.written)
    typer.echo(f"features of {count} video{'s' * (count != 1)} written to {out}{there}")
    for name, reason in failed.items():
        typer.echo(f"failed: {reason if name in reason else f'{name}: {reason}'}", err=True)
    if failed:
        raise typer.Exit(1)
