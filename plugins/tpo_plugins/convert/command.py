"""`tpo convert`: released checkpoints to models of ours and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tpo_plugins.progress import file_bar


class Format(StrEnum):
    """Checkpoints that can be converted."""

    VIDEOCHAT_TPO = "videochat-tpo"


class Dtype(StrEnum):
    """Types that weights can be stored in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def run(
    kind: Annotated[Format, typer.Argument(help="Which released checkpoint.")],
    source: Annotated[
        Path, typer.Argument(help="Its folder; with --back that of a model of ours.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write; must not exist.")],
    back: Annotated[
        bool, typer.Option("--back", help="From a model of ours to the release's names.")
    ] = False,
    merge_lora: Annotated[
        bool, typer.Option("--merge-lora", help="Fold LoRA into the weights.")
    ] = False,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Type of the backbone's weights; as released by default.")
    ] = None,
    internvideo2: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the InternVideo2-CLIP files that the temporal head reads clips with; "
            "SOURCE/internvideo2 by default."
        ),
    ] = None,
) -> None:
    """Convert a released checkpoint to a model that predict, train and eval take, or back.

    Tensors are read one by one, so that memory stays far below the model's size; unknown, missing
    or misshapen ones stop it before anything is written. The same command goes on with a conversion
    that was cut short.

    Example: tpo convert videochat-tpo VideoChat-TPO/ models/videochat-tpo
    """
    if back and (merge_lora or dtype or internvideo2):
        raise typer.BadParameter(
            "--back takes neither --merge-lora nor --dtype nor --internvideo2; leave them out"
        )
    with file_bar() as bar:
        task = bar.add_task("reading headers", total=None)

        def progress(file: str, done: int, total: int) -> None:
            bar.update(task, description=file, completed=done, total=total)

        if back:
            from tpo_plugins.convert.back import convert_back

            count = convert_back(source, out, progress=progress)
            ignored: list[str] = []
        else:
            from tpo_plugins.convert.forward import convert

            done = convert(
                source,
                out,
                merge_lora=merge_lora,
                dtype=dtype.value if dtype else None,
                internvideo2=internvideo2,
                progress=progress,
            )
            count, ignored = done.tensors, done.ignored
    if ignored:
        typer.echo(f"left out as never run by the release: {', '.join(ignored)}")
    typer.echo(f"{count} tensors of {kind.value} written to {out}")
