"""What a saved model's `config.json` says, and the names of the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tpo_core.errors import CheckpointError
from tpo_core.records.targets import record_error

FORMAT: Literal["tpo"] = "tpo"
VERSION = 1

CONFIG = "config.json"
ADAPTER = "adapter"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEADS = "heads.safetensors"
TRAINED_BASE = "trained_base.safetensors"
BACKBONE = "backbone"
PROCESSOR = "processor"
FILES = "files"
CARD = "README.md"
OWNED = frozenset({CONFIG, ADAPTER, HEADS, TRAINED_BASE, BACKBONE, PROCESSOR, FILES, CARD})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SavedBackbone(_Strict):
    """The backbone of a saved model.

    Args:
        source: Registered name, absolute path or hub id it came from.
        adapter: Registered name of the adapter that loads it; empty if its config tells.
        included: Whether its weights are in the folder; else they are loaded from `source`.
        dtype: Of its weights, such as `"float32"`.
        hidden_size: D.
    """

    source: str
    adapter: str
    included: bool
    dtype: str
    hidden_size: int


class SavedConfig(_Strict):
    """A saved model's config.

    Args:
        format: Tells our folders from others.
        format_version: Grows when older packages could not read the folder.
        backbone: The backbone.
        heads: Options of each head, by registered name; `./files/<name>` is a folder inside.
        lora: LoRA settings; None if there is none.
        merged: Whether LoRA and token rows were folded into the backbone's weights.
        tokens: Id of every task token's text.
        trained_groups: Groups of the backbone's own weights that were trained.
        num_frames: Frames of a video it was trained on.
        versions: Versions of the packages it was written with.
    """

    format: Literal["tpo"] = FORMAT
    format_version: int = VERSION
    backbone: SavedBackbone
    heads: dict[str, dict[str, Any]]
    lora: dict[str, Any] | None
    merged: bool
    tokens: dict[str, int]
    trained_groups: list[str] = Field(default_factory=list)
    num_frames: int
    versions: dict[str, str]


def read_config(folder: Path) -> SavedConfig:
    """Read and check the config of a saved model.

    Raises:
        CheckpointError: If the folder holds none, or one that cannot be used.
    """
    import json

    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} holds no {CONFIG}; expected a folder that save_pretrained or a recipe wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); save the model again") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} holds no model with heads; if it is a plain backbone, put heads on it with "
            "tpo_core.attach"
        )
    if values.get("format_version", 0) > VERSION:
        raise CheckpointError(
            f"{path} has format version {values['format_version']}, this package reads up to "
            f"{VERSION}; upgrade tpo"
        )
    try:
        return SavedConfig.model_validate(values)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {record_error(error)}; save the model again") from error


def is_ours(folder: Path) -> bool:
    """Tell whether a folder holds a saved model."""
    try:
        read_config(folder)
    except CheckpointError:
        return False
    return True
