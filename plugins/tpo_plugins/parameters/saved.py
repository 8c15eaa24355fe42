"""A saved model's weights: its backbone on the meta device, the rest from the files' headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tpo_core.errors import CheckpointError, InputError
from tpo_core.saving import config as saved
from tpo_core.saving.config import SavedConfig, read_config
from tpo_core.saving.files import located
from tpo_core.saving.hub import fetch
from tpo_plugins.parameters.backbone import backbone_tensors
from tpo_plugins.parameters.sam2 import sam2_shapes
from tpo_plugins.parameters.table import Row, rows_of

Shape = Sequence[int]


def saved_rows(source: str) -> list[Row]:
    """Count the weights of a saved model, those of a frozen SAM2 included.

    Args:
        source: A folder or hub id.

    Raises:
        CheckpointError: If there is no saved model, or a file of it is missing or broken.
        InputError: If its backbone cannot be found.
    """
    folder = fetch(source)
    return rows_of(_tensors(folder, read_config(folder)))


def _tensors(folder: Path, config: SavedConfig) -> Iterator[tuple[str, Shape]]:
    yield from _backbone(folder, config)
    adapter = folder / saved.ADAPTER / saved.ADAPTER_WEIGHTS
    if adapter.is_file():
        for name, shape in header_shapes(adapter).items():
            yield "lora" if "lora_" in name else "tokens", shape
    for name, shape in header_shapes(folder / saved.HEADS).items():
        yield name.partition(".")[0], shape
    for options in located(config.heads, folder).values():
        if isinstance(options.get("sam2"), str):
            yield from (("sam2, frozen", shape) for shape in sam2_shapes(options["sam2"]))


def _backbone(folder: Path, config: SavedConfig) -> Iterator[tuple[str, Shape]]:
    place = folder / saved.BACKBONE
    if not config.backbone.included:
        yield from backbone_tensors(_checkpoint_of(config.backbone.source))
        return
    try:
        yield from backbone_tensors(str(place))
    except InputError:
        # Of another package's adapter, which alone knows what is vision and what language.
        for path in sorted(place.glob("*.safetensors")):
            yield from (("backbone", shape) for shape in header_shapes(path).values())


def _checkpoint_of(source: str) -> str:
    """Return the folder or hub id of a backbone by what a saved config calls it."""
    from tpo_core.registry import list_backbones
    from tpo_core.resources import resolve

    named = {spec.name: spec.checkpoint for spec in list_backbones() if spec.checkpoint}
    return resolve(named.get(source, source))


def header_shapes(path: Path) -> dict[str, Shape]:
    """Return the shape of every tensor of a safetensors file; nothing else of it is read.

    Raises:
        CheckpointError: If it is missing or broken.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_slice(name).get_shape() for name in names}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; save the model again") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is broken ({error}); save the model again") from error
