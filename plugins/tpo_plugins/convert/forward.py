"""The released VideoChat-TPO as a saved model of ours, without ever holding more than a shard."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tpo_core.errors import CheckpointError
from tpo_core.saving import config as saved
from tpo_plugins.convert.expected import check, expected_shapes
from tpo_plugins.convert.files import (
    check_tokenizer,
    write_adapter,
    write_backbone_files,
    write_config,
)
from tpo_plugins.convert.job import BYTES_OF, Job
from tpo_plugins.convert.names import places_of
from tpo_plugins.convert.shards import (
    SHARD_BYTES,
    ShardedCheckpoint,
    check_space,
    plan_shards,
    write_file,
    write_shards,
)
from tpo_plugins.convert.sizes import SAM2_FOLDER, read_sizes, sam2_config
from tpo_plugins.convert.tensors import backbone_tensor

_PLAN = "conversion.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """What a conversion did.

    Args:
        folder: The saved model.
        tensors: How many released tensors it holds.
        ignored: Legacy tensors that the released code never runs.
    """

    folder: Path
    tensors: int
    ignored: list[str]


def convert(
    source: Path,
    output: Path,
    *,
    merge_lora: bool = False,
    dtype: str | None = None,
    internvideo2: Path | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[str, int, int], object] = lambda file, done, total: None,
) -> Converted:
    """Convert the released checkpoint.

    The result is written beside `output` and moved there at the end; a conversion that was cut
    short goes on with the files that are missing.

    Args:
        source: The released folder: safetensors with their index, and `tokenizer.model`.
        output: The folder of the saved model; must not exist.
        merge_lora: Fold LoRA and the slots' rows into the weights, in fp32.
        dtype: Of the backbone; as released if None.
        internvideo2: Folder of the files the temporal head reads clips with, see `released_heads`;
            `source/internvideo2`, or what a conversion back wrote down, if None.
        shard_bytes: Bytes of a written file, which bound the memory.
        progress: Called with the file that is whole, how many are and how many there will be.

    Raises:
        CheckpointError: If `source` is no such checkpoint (unknown, missing or misshapen tensors,
            broken or absent files), `output` exists, or it cannot be written.
        MissingDependency: If sentencepiece is not installed.
    """
    if output.exists():
        raise CheckpointError(f"{output} exists already; remove it or choose another folder")
    if dtype is not None and dtype not in BYTES_OF:
        raise CheckpointError(f"dtype is {dtype!r}; expected {', '.join(BYTES_OF)}")
    if not source.is_dir():
        raise CheckpointError(f"{source} is no folder; give that of the released checkpoint")
    sizes = read_sizes(source, internvideo2=internvideo2)
    checkpoint = ShardedCheckpoint(source)
    expected = expected_shapes(sizes)
    ignored = check(checkpoint, expected)
    job = Job(
        source=checkpoint, sizes=sizes, places=places_of(expected), merge=merge_lora, dtype=dtype
    )
    check_tokenizer(job)
    draft = output.with_name(f".{output.name}.converting")
    try:
        _begin(draft, job, shard_bytes=shard_bytes)
        _write(draft, job, shard_bytes=shard_bytes, progress=progress)
        (draft / _PLAN).unlink()
        os.replace(draft, output)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"cannot write {output}: {reason}; what is done is kept in {draft}, and the same "
            "command goes on from there"
        ) from error
    return Converted(folder=output, tensors=len(expected), ignored=ignored)


def _begin(draft: Path, job: Job, *, shard_bytes: int) -> None:
    """Make the working folder, or keep that of the same conversion; check the free space."""
    stamps = {file: file.stat() for file in sorted(set(job.source.files.values()))}
    plan = {
        "files": {str(file.absolute()): [s.st_size, s.st_mtime_ns] for file, s in stamps.items()},
        "merge_lora": job.merge,
        "dtype": job.dtype,
        "shard_bytes": shard_bytes,
        "sizes": job.sizes.to_json(),
    }
    text, path = json.dumps(plan, indent=2), draft / _PLAN
    if draft.exists() and not (path.is_file() and path.read_text(encoding="utf-8") == text):
        shutil.rmtree(draft)
    there = sum(found.stat().st_size for found in draft.rglob("*") if found.is_file())
    needed = sum(
        job.bytes_of(published)
        for published, place in job.places.items()
        if place.part != "constant"
    )
    check_space(draft, needed=needed - there)
    draft.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write(
    draft: Path,
    job: Job,
    *,
    shard_bytes: int,
    progress: Callable[[str, int, int], object],
) -> None:
    backbone = job.part("backbone")
    sizes = {name: job.bytes_of(published) for name, published in backbone.items()}
    shards = plan_shards(sizes, limit=shard_bytes)
    total, done = len(shards) + 2 + (not job.merge), 0

    def finished(file: str) -> None:
        nonlocal done
        done += 1
        job.source.close()
        progress(file, done, total)

    write_shards(
        draft / saved.BACKBONE,
        shards,
        partial(backbone_tensor, job, backbone),
        sizes=sizes,
        done=finished,
    )
    write_backbone_files(draft / saved.BACKBONE, job)
    if not job.merge:
        write_adapter(draft / saved.ADAPTER, job)
        finished(saved.ADAPTER)
    heads = {name: job.source.read(published) for name, published in job.part("heads").items()}
    write_file(draft / saved.HEADS, heads)
    finished(saved.HEADS)
    _write_sam2(draft / SAM2_FOLDER, job)
    finished(SAM2_FOLDER)
    write_config(draft, job)


def _write_sam2(folder: Path, job: Job) -> None:
    import yaml

    from tpo_heads.mask.sam2_source import CONFIG_FILE, WEIGHTS_FILE

    weights = {name: job.source.read(published) for name, published in job.part("sam2").items()}
    write_file(folder / WEIGHTS_FILE, weights)
    text = yaml.safe_dump({"model": sam2_config(job.sizes)}, sort_keys=False)
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
