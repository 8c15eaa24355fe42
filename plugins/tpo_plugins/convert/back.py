"""A saved VideoChat-TPO of ours under the release's names, bit by bit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_backbones.videochat.checkpoint import read_config as read_backbone_config
from tpo_core.errors import CheckpointError, InputError
from tpo_core.lora import LoraSettings
from tpo_core.saving import config as saved
from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.names import TOKEN_ROWS, Place, place_of
from tpo_plugins.convert.shards import (
    SHARD_BYTES,
    ShardedCheckpoint,
    plan_shards,
    write_shards,
)
from tpo_plugins.convert.sizes import SAM2_FOLDER, SIZES_FILE, Sizes

if TYPE_CHECKING:
    import torch

# Weights of foreground and background in the label loss.
_CLASS_WEIGHTS = (1.0, 0.1)


def convert_back(
    model: Path,
    output: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[str, int, int], object] = lambda file, done, total: None,
) -> int:
    """Write the tensors of a saved model under the release's names, with an index.

    What was converted from the release and not trained comes back bit-exactly; its legacy parts do
    not come back. A file `tpo_sizes.json` says what the names do not.

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
    parts = _parts(model)
    places = {name: place for name in expected if (place := place_of(name)) is not None}
    _check(parts, places, config)
    bytes_of = {name: _bytes(parts, places[name]) for name in sorted(expected)}
    shards = plan_shards(bytes_of, limit=shard_bytes)
    draft = output.with_name(f".{output.name}.converting")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        done = iter(range(1, len(shards) + 1))
        write_shards(
            draft,
            shards,
            partial(_tensor, parts, places, config),
            sizes=bytes_of,
            done=lambda file: progress(file, next(done), len(shards)),
        )
        text = json.dumps(sizes.to_json(), indent=2)
        (draft / SIZES_FILE).write_text(text + "\n", encoding="utf-8")
        shutil.copyfile(model / saved.BACKBONE / "tokenizer.model", draft / "tokenizer.model")
        os.replace(draft, output)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise CheckpointError(
            f"cannot write {output}: {error.strerror or error}; free space or choose another disk"
        ) from error
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
    import yaml

    assert config.lora is not None
    try:
        backbone = read_backbone_config(model / saved.BACKBONE)
        text = (model / SAM2_FOLDER / "config.yaml").read_text(encoding="utf-8")
    except (InputError, OSError) as error:
        raise CheckpointError(f"{model} is no VideoChat-TPO: {error}") from error
    return Sizes(
        backbone=backbone,
        heads=config.heads,
        lora=LoraSettings(**config.lora),
        sam2=yaml.safe_load(text)["model"],
    )


def _parts(model: Path) -> dict[str, ShardedCheckpoint]:
    """Open the files of a saved model by part."""
    return {
        "backbone": ShardedCheckpoint(model / saved.BACKBONE),
        "adapter": ShardedCheckpoint.of_file(model / saved.ADAPTER / saved.ADAPTER_WEIGHTS),
        "heads": ShardedCheckpoint.of_file(model / saved.HEADS),
        "sam2": ShardedCheckpoint(model / SAM2_FOLDER),
    }


def _check(
    parts: Mapping[str, ShardedCheckpoint],
    places: Mapping[str, Place],
    config: saved.SavedConfig,
) -> None:
    absent = [
        f"{place.part}: {place.name}"
        for place in places.values()
        if place.part in parts and place.name not in parts[place.part].headers
    ]
    if absent:
        raise CheckpointError(
            f"{parts['backbone'].folder.parent} lacks {len(absent)} tensors, such as {absent[0]}; "
            f"was it saved with other options? Its heads are {', '.join(config.heads)}"
        )


def _tensor(
    parts: Mapping[str, ShardedCheckpoint],
    places: Mapping[str, Place],
    config: saved.SavedConfig,
    published: str,
) -> torch.Tensor:
    import torch

    place = places[published]
    if place.part == "constant":
        table = parts["heads"].headers[next(iter(parts["heads"].headers))]
        kind = torch.bfloat16 if table.dtype == "BF16" else torch.float32
        return torch.tensor(_CLASS_WEIGHTS, dtype=kind)
    if place.part == "token":
        rows = parts["adapter"].read(TOKEN_ROWS)
        trained = sorted(config.tokens[text] for text in config.tokens if text != "<track_box>")
        return rows[trained.index(config.tokens[place.name])].reshape(1, 1, -1)
    return parts[place.part].read(place.name)


def _bytes(parts: Mapping[str, ShardedCheckpoint], place: Place) -> int:
    if place.part == "constant":
        return 4 * len(_CLASS_WEIGHTS)
    if place.part == "token":
        header = parts["adapter"].headers[TOKEN_ROWS]
        return header.bytes // header.shape[0]
    return parts[place.part].headers[place.name].bytes
