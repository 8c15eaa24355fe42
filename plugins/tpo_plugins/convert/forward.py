"""The released VideoChat-TPO as a saved model of ours, without ever holding more than a shard."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tpo_core.errors import CheckpointError
from tpo_core.saving import config as saved
from tpo_plugins.convert.expected import check, expected_shapes, ours
from tpo_plugins.convert.names import BASE, PEFT, TOKEN_ROWS, Place
from tpo_plugins.convert.shards import (
    SHARD_BYTES,
    ShardedCheckpoint,
    plan_shards,
    write_file,
    write_shards,
)
from tpo_plugins.convert.sizes import SAM2_FOLDER, Sizes, read_sizes, sam2_config

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_NAME: Final = "videochat"
DTYPES: Final = ("float32", "bfloat16", "float16")
_TOKENIZER: Final = "tokenizer.model"
_BITS: Final = {"float32": 4, "bfloat16": 2, "float16": 2}
_TYPE_NAMES: Final = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_PLAN: Final = "conversion.json"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    source: ShardedCheckpoint
    sizes: Sizes
    names: Mapping[str, tuple[str, Place]]
    tokens: Mapping[str, int]
    merge: bool
    dtype: str | None

    def part(self, part: str) -> dict[str, str]:
        """Return the released names of a part's tensors by their names there."""
        return {
            place.name: published for published, place in self.names.values() if place.part == part
        }


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
            `source/internvideo2` if None.
        shard_bytes: Bytes of a written file, which bound the memory.
        progress: Called with the file that is whole, how many are and how many there will be.

    Raises:
        CheckpointError: If `source` is no such checkpoint (unknown, missing or misshapen tensors,
            broken or absent files), `output` exists, or it cannot be written.
    """
    if output.exists():
        raise CheckpointError(f"{output} exists already; remove it or choose another folder")
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"dtype is {dtype!r}; expected {', '.join(DTYPES)}")
    if not source.is_dir():
        raise CheckpointError(f"{source} is no folder; give that of the released checkpoint")
    places = internvideo2 or source / "internvideo2"
    sizes = read_sizes(source, internvideo2=places.absolute())
    checkpoint = ShardedCheckpoint(source)
    expected = expected_shapes(sizes)
    ignored = check(checkpoint, expected)
    if not (source / _TOKENIZER).is_file():
        raise CheckpointError(f"{source} lacks {_TOKENIZER}; get the whole checkpoint")
    job = _Job(
        source=checkpoint,
        sizes=sizes,
        names=ours(expected),
        tokens=_task_tokens(sizes),
        merge=merge_lora,
        dtype=dtype,
    )
    draft = output.with_name(f".{output.name}.converting")
    try:
        _begin(draft, job)
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


def _begin(draft: Path, job: _Job) -> None:
    """Make the working folder, or keep that of the same conversion; check the free space."""
    plan = {
        "source": str(job.source.folder.absolute()),
        "merge_lora": job.merge,
        "dtype": job.dtype,
        "sizes": job.sizes.to_json(),
    }
    text = json.dumps(plan, indent=2)
    if draft.exists() and (
        not (draft / _PLAN).is_file() or (draft / _PLAN).read_text(encoding="utf-8") != text
    ):
        shutil.rmtree(draft)
    draft.mkdir(parents=True, exist_ok=True)
    (draft / _PLAN).write_text(text, encoding="utf-8")
    there = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    needed = sum(
        _bytes(job, published)
        for published, place in job.names.values()
        if place.part != "constant"
    )
    free = shutil.disk_usage(draft).free
    if needed - there > free:
        raise CheckpointError(
            f"{draft.parent} has {free / 1e9:.1f} GB free and the conversion needs "
            f"{(needed - there) / 1e9:.1f} GB more; free space or choose another disk"
        )


def _write(
    draft: Path,
    job: _Job,
    *,
    shard_bytes: int,
    progress: Callable[[str, int, int], object],
) -> None:
    backbone, sam2 = job.part("backbone"), job.part("sam2")
    sizes = {name: _bytes(job, published) for name, published in backbone.items()}
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
        partial(_backbone, job, backbone),
        sizes=sizes,
        done=finished,
    )
    _write_backbone_files(draft / saved.BACKBONE, job)
    if not job.merge:
        _write_adapter(draft / saved.ADAPTER, job)
        finished(saved.ADAPTER)
    heads = {name: job.source.read(published) for name, published in job.part("heads").items()}
    write_file(draft / saved.HEADS, heads)
    finished(saved.HEADS)
    folder = draft / SAM2_FOLDER
    write_file(
        folder / "model.safetensors",
        {name: job.source.read(published) for name, published in sam2.items()},
    )
    import yaml

    text = yaml.safe_dump({"model": sam2_config(job.sizes)}, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    finished(str(SAM2_FOLDER))
    _write_config(draft, job)


# Tensors


def _backbone(job: _Job, backbone: Mapping[str, str], name: str) -> Tensor:
    """Return a tensor of the backbone, LoRA and rows merged in if asked for."""
    import torch

    published = backbone[name]
    value = job.source.read(published)
    kind = value.dtype
    if not value.is_floating_point():
        return value
    if job.merge and f"{BASE}." in published:
        start = published.removesuffix(f"{BASE}.weight")
        down = job.source.read(f"{start}.lora_A.default.weight").float()
        up = job.source.read(f"{start}.lora_B.default.weight").float()
        value = value.float() + job.sizes.lora.alpha / job.sizes.lora.rank * (up @ down)
    if job.merge and name.endswith(".embed_tokens.weight"):
        value = value.clone()
        for text, slot in job.part("token").items():
            value[job.tokens[text]] = job.source.read(slot).flatten().to(value.dtype)
    return value.to(getattr(torch, job.dtype) if job.dtype else kind)


def _token_rows(job: _Job) -> tuple[Tensor, list[int]]:
    """Return the adapter's token rows and their ids: the slots' learnt inputs, and triggers as are.

    Those of the release keep the rows of the embedding for triggers.
    """
    import torch

    slots = job.part("token")
    table = job.source.read(job.part("backbone")["lm.model.embed_tokens.weight"])
    texts = sorted(_trained(job), key=lambda text: job.tokens[text])
    rows = [
        job.source.read(slots[text]).flatten() if text in slots else table[job.tokens[text]]
        for text in texts
    ]
    return torch.stack(rows), [job.tokens[text] for text in texts]


def _trained(job: _Job) -> Iterable[str]:
    from tpo_core.tokens import MASK, REGION, TEMPORAL

    return [text for token in (REGION, TEMPORAL, MASK) for text in (token.trigger, token.slot)]


# Files


def _write_adapter(folder: Path, job: _Job) -> None:
    from peft import LoraConfig

    tensors = {name: job.source.read(published) for name, published in job.part("adapter").items()}
    rows, ids = _token_rows(job)
    tensors[TOKEN_ROWS] = rows
    write_file(folder / saved.ADAPTER_WEIGHTS, tensors)
    wrapped = {name.removeprefix(PEFT).rpartition(".lora_")[0] for name in tensors}
    settings = LoraConfig(
        r=job.sizes.lora.rank,
        lora_alpha=job.sizes.lora.alpha,
        lora_dropout=job.sizes.lora.dropout,
        target_modules=sorted(wrapped - {""}),
        trainable_token_indices={"lm.model.embed_tokens": ids},
        base_model_name_or_path=ADAPTER_NAME,
        inference_mode=True,
    )
    settings.save_pretrained(str(folder))


def _write_backbone_files(folder: Path, job: _Job) -> None:
    from tpo_backbones.videochat.checkpoint import CONFIG_FILE
    from tpo_backbones.videochat.tokenizer import ADDED_FILE

    text = json.dumps(job.sizes.backbone.to_json(), indent=2)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(job.source.folder / _TOKENIZER, folder / _TOKENIZER)
    (folder / ADDED_FILE).write_text(json.dumps(job.tokens, indent=2) + "\n", encoding="utf-8")


def _write_config(draft: Path, job: _Job) -> None:
    from tpo_core.saving.card import model_card

    sizes = job.sizes
    table = job.source.headers[job.part("backbone")["lm.model.embed_tokens.weight"]]
    config = saved.SavedConfig(
        backbone=saved.SavedBackbone(
            source=str(job.source.folder.name),
            adapter=ADAPTER_NAME,
            included=True,
            dtype=job.dtype or _TYPE_NAMES[table.dtype],
            hidden_size=sizes.backbone.language.hidden_size,
        ),
        heads={name: dict(options) for name, options in sizes.heads.items()},
        lora=sizes.lora.to_json(),
        merged=job.merge,
        tokens=dict(job.tokens),
        num_frames=sizes.backbone.num_frames,
        versions={name: version(name) for name in ("tpo", "torch", "transformers", "peft")},
    )
    text = json.dumps(config.model_dump(mode="json"), indent=2)
    (draft / saved.CONFIG).write_text(text + "\n", encoding="utf-8")
    tasks = {"region": "`region`", "temporal_cgdetr": "`temporal`", "mask": "`mask`"}
    (draft / saved.CARD).write_text(model_card(config, tasks=tasks, figures={}), encoding="utf-8")


def _task_tokens(sizes: Sizes) -> dict[str, int]:
    """Return the ids of the seven task tokens, the last rows of the vocabulary."""
    from tpo_core.tokens import UPSTREAM_ORDER

    first = sizes.backbone.language.vocabulary - len(UPSTREAM_ORDER)
    return {text: first + number for number, text in enumerate(UPSTREAM_ORDER)}


def _bytes(job: _Job, published: str) -> int:
    header = job.source.headers[published]
    if job.dtype and header.dtype in _TYPE_NAMES:
        header = header._replace(dtype=f"F{8 * _BITS[job.dtype]}")
    return header.bytes
