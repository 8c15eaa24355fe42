"""The released VideoChat-TPO, tensor by tensor, by our own modules on the meta device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.names import Place, places_of
from tpo_plugins.convert.sizes import Sizes
from tpo_plugins.parameters.backbone import groups_of
from tpo_plugins.parameters.table import Row, rows_of

NAME: Final = "videochat_tpo"

# Linear layers that the release holds and never runs; none of our modules has them. In and out.
_LEGACY: Final = {
    "project_down": (4096, 768),
    "merge_proj": (3072, 4096),
    "temporal_embed.layers.0": (4096, 4096),
    "temporal_embed.layers.1": (4096, 2),
    "action_embed.layers.0": (4096, 4096),
    "action_embed.layers.1": (4096, 1),
}


def released_rows() -> list[Row]:
    """Count the release's tensors, SAM2 and the parts that it never runs included."""
    return rows_of(_tensors())


def _tensors() -> Iterator[tuple[str, Sequence[int]]]:
    import torch

    from tpo_backbones.videochat.adapter import VideoChatLayout
    from tpo_backbones.videochat.model import VideoChatModel

    sizes = Sizes()
    with torch.device("meta"):
        groups = groups_of(VideoChatLayout(VideoChatModel(sizes.backbone)))
    shapes = expected_shapes(sizes)
    for name, place in places_of(shapes).items():
        yield _group(place, groups), shapes[name]
    for module, (width, out) in _LEGACY.items():
        group = f"legacy, never run: {module.partition('.')[0]}"
        yield group, (out, width)
        yield group, (out,)


def _group(place: Place, groups: dict[str, str]) -> str:
    if place.part == "backbone":
        return groups.get(place.name, "buffers")
    if place.part == "heads":
        return place.name.partition(".")[0]
    return {
        "adapter": "lora",
        "sam2": "sam2, frozen",
        "token": "tokens",
        "constant": "constants of a loss",
    }[place.part]
