"""A saved VideoChat-TPO of ours under the release's names, bit by bit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_backbones.videochat.checkpoint import read_config as read_backbone_config
from tpo_core.errors import CheckpointError, InputError
from tpo_core.lora import LoraSettings
from tpo_core.saving import config as saved
from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.files import TOKENIZER
from tpo_plugins.convert.job import DTYPE_OF
from tpo_plugins.convert.names import TOKEN_ROWS, Place, places_of
from tpo_plugins.convert.shards import (
    SHARD_BYTES,
    Header,
    ShardedCheckpoint,
    check_space,
    plan_shards,
    write_shards,
)
from tpo_plugins.convert.sizes import SAM2_FOLDER, SIZES_FILE, Sizes
from tpo_plugins.convert.tensors import EMBEDDING, TRAINED

if TYPE_CHECKING:
    import torch

# Weights of foreground and background in the label loss, a tensor of the release.
_CLASS_WEIGHTS = (1.0, 0.1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """A saved model.

    Args:
        parts: Its files by part.
        places: Where each released tensor is found, by its released name.
        tokens: Ids of the task tokens by text.
    """

    parts: Mapping[str, ShardedCheckpoint]
    places: Mapping[str, Place]
    tokens: Mapping[str, int]


def convert_back(
    model: Path,
    output: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[str, int, int], object] = lambda file, done, total: None,
) -> int:
    """Write the tensors of a saved model under the release's names, with an index.

    What was converted from the release and not trained comes back bit-exactly; its legacy parts do
    not come back. A file `tpo_sizes.json` says what the names do not. The result is written beside
    `output` and moved there at the end.

    Args:
        model: The saved model's folder, its backbone included and its LoRA not merged.
        output: The folder to write; must not exist.
        shard_bytes: Bytes of a written file, which bound the memory.
        progress: Called with the file that is whole, how many are and how many there will be.

    Returns:
        How many tensors were written.

    Raises:
        CheckpointError: If the folder is no such model, `output` exists, or cannot be written.
    """
    if output.exists():
        raise CheckpointError(f"{output} exists already; remove it or choose another folder")
    config = saved.read_config(model)
    sizes = _sizes(model, config)
    expected = expected_shapes(sizes)
    opened = _open(model, places_of(expected), config)
    bytes_of = {name: _bytes(opened, name) for name in sorted(expected)}
    shards = plan_shards(bytes_of, limit=shard_bytes)
    check_space(output.parent, needed=sum(bytes_of.values()))
    draft = output.with_name(f".{output.name}.converting")
    done = iter(range(1, len(shards) + 1))
    try:
        shutil.rmtree(draft, ignore_errors=True)
        write_shards(
            draft,
            shards,
            partial(_tensor, opened),
            sizes=bytes_of,
            done=lambda file: progress(file, next(done), len(shards)),
        )
        text = json.dumps(sizes.to_json(), indent=2)
        (draft / SIZES_FILE).write_text(text + "\n", encoding="utf-8")
        shutil.copyfile(model / saved.BACKBONE / TOKENIZER, draft / TOKENIZER)
        os.replace(draft, output)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {output}: {error.strerror or error}; free space or choose another disk"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(expected)


def _sizes(model: Path, config: saved.SavedConfig) -> Sizes:
    """Read the sizes off a saved model.

    Raises:
        CheckpointError: If it has not the parts of a VideoChat-TPO.
    """
    problems = []
    if not config.backbone.included:
        problems.append("its backbone is not included (save it with include_backbone=True)")
    if config.merged or config.lora is None:
        problems.append("its LoRA was merged or is absent")
    if sorted(config.heads) != ["mask", "region", "temporal_cgdetr"]:
        problems.append(f"its heads are {', '.join(sorted(config.heads))}")
    if config.heads.get("mask", {}).get("sam2") != SAM2_FOLDER:
        problems.append(f"its SAM2 does not lie in {SAM2_FOLDER}")
    if problems:
        raise CheckpointError(
            f"{model} cannot be written as a VideoChat-TPO checkpoint: {'; '.join(problems)}; "
            "expected a model that `tpo convert videochat-tpo` made, trained further or not"
        )
    from tpo_heads.mask.sam2_source import CONFIG_FILE, read_config

    assert config.lora is not None
    path = model / SAM2_FOLDER / CONFIG_FILE
    try:
        return Sizes(
            backbone=read_backbone_config(model / saved.BACKBONE),
            heads=config.heads,
            lora=LoraSettings(**config.lora),
            sam2=read_config(path.read_text(encoding="utf-8"), source=str(path)),
        )
    except (InputError, OSError) as error:
        raise CheckpointError(f"{model} is no VideoChat-TPO: {error}") from error


def _open(model: Path, places: Mapping[str, Place], config: saved.SavedConfig) -> _Model:
    """Open the files of a saved model and check that all tensors are there.

    Raises:
        CheckpointError: If a file or a tensor is missing.
    """
    parts = {
        "backbone": ShardedCheckpoint(model / saved.BACKBONE),
        "adapter": ShardedCheckpoint(model / saved.ADAPTER / saved.ADAPTER_WEIGHTS),
        "heads": ShardedCheckpoint(model / saved.HEADS),
        "sam2": ShardedCheckpoint(model / SAM2_FOLDER),
    }
    absent = [
        f"{place.part}: {place.name}"
        for place in (*places.values(), Place("adapter", TOKEN_ROWS))
        if place.part in parts and place.name not in parts[place.part].headers
    ]
    if absent:
        raise CheckpointError(
            f"{model} lacks {len(absent)} of its tensors, such as {absent[0]}; was it saved with "
            "other options?"
        )
    rows = parts["adapter"].headers[TOKEN_ROWS].shape[0]
    if rows != len(TRAINED):
        raise CheckpointError(
            f"{model} has trained rows for {rows} tokens; expected {len(TRAINED)}, those of "
            f"{', '.join(TRAINED)}"
        )
    if not (model / saved.BACKBONE / TOKENIZER).is_file():
        raise CheckpointError(f"{model / saved.BACKBONE} lacks {TOKENIZER}; save the model again")
    return _Model(parts=parts, places=places, tokens=config.tokens)


def _tensor(model: _Model, published: str) -> torch.Tensor:
    """Return a tensor of the release by its name there."""
    import torch

    place = model.places[published]
    if place.part == "constant":
        return torch.tensor(_CLASS_WEIGHTS, dtype=getattr(torch, DTYPE_OF[_heads_dtype(model)]))
    if place.part == "token":
        return _trained_rows(model)[place.name].reshape(1, 1, -1)
    value = model.parts[place.part].read(place.name)
    if (place.part, place.name) == ("backbone", EMBEDDING):
        value = _with_triggers(model, value)
    return value


def _with_triggers(model: _Model, table: torch.Tensor) -> torch.Tensor:
    """Return the embedding `[V, D]` with the triggers' trained rows.

    The slots' rows stay as they are: the release has tensors of their own for them.
    """
    table = table.clone()
    slots = {place.name for place in model.places.values() if place.part == "token"}
    for text, row in _trained_rows(model).items():
        if text not in slots:
            table[model.tokens[text]] = row.to(table.dtype)
    return table


def _trained_rows(model: _Model) -> dict[str, torch.Tensor]:
    """Return the input row `[D]` of each trained task token by its text."""
    texts = sorted(TRAINED, key=lambda text: model.tokens[text])
    return dict(zip(texts, model.parts["adapter"].read(TOKEN_ROWS), strict=True))


def _heads_dtype(model: _Model) -> str:
    """Return the type of the heads' weights as safetensors calls it."""
    headers = model.parts["heads"].headers.values()
    return next(header.dtype for header in headers if header.dtype in DTYPE_OF)


def _bytes(model: _Model, published: str) -> int:
    place = model.places[published]
    if place.part == "constant":
        return Header((len(_CLASS_WEIGHTS),), _heads_dtype(model)).bytes
    if place.part == "token":
        header = model.parts["adapter"].headers[TOKEN_ROWS]
        return header.bytes // header.shape[0]
    return model.parts[place.part].headers[place.name].bytes
