"""Which tensors a VideoChat-TPO checkpoint must hold, by our own modules on the meta device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tpo_core.errors import CheckpointError
from tpo_plugins.convert.names import CONSTANT, place_of
from tpo_plugins.convert.shards import ShardedCheckpoint
from tpo_plugins.convert.sizes import Sizes, sam2_config

Shape = tuple[int, ...]

_ADAPTED: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_WEIGHTS: Final = ("BF16", "F16", "F32")
_INDICES: Final = ("I64",)
_MOST_NAMED = 5


def expected_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Return the shape of every tensor that a release of these sizes has, legacy parts left out.

    Args:
        sizes: Of the model; nothing is allocated, whatever they are.
    """
    from accelerate import init_empty_weights

    from tpo_backbones.videochat.model import VideoChatModel
    from tpo_heads.mask.sam2_source import build_sam2

    with init_empty_weights(include_buffers=False):
        backbone = VideoChatModel(sizes.backbone).state_dict()
        sam2 = build_sam2(sam2_config(sizes)).state_dict()
        heads = _heads(sizes)
    shapes: dict[str, Shape] = {CONSTANT: (2,)}
    for name, value in backbone.items():
        shapes |= _published(name, tuple(value.shape), rank=sizes.lora.rank)
    shapes |= {f"sam.{name}": tuple(value.shape) for name, value in sam2.items()}
    shapes |= {name: tuple(value.shape) for name, value in heads.items()}
    width = sizes.backbone.language.hidden_size
    shapes |= dict.fromkeys(("box_token", "temporal_token", "track_token"), (1, 1, width))
    return shapes


def check(source: ShardedCheckpoint, expected: Mapping[str, Shape]) -> list[str]:
    """Compare a checkpoint with what it must hold; nothing is read but headers.

    Args:
        source: The checkpoint.
        expected: From `expected_shapes`.

    Returns:
        The legacy tensors it holds, which are ignored.

    Raises:
        CheckpointError: If tensors are unknown, missing or of another shape or type; all are
            counted and the first few named.
    """
    places = {name: place_of(name) for name in source.headers}
    legacy = [name for name, place in places.items() if place and place.part == "legacy"]
    known = source.headers.keys() - set(legacy)
    wrong = []
    for name in sorted(known & expected.keys()):
        shape, dtype = source.headers[name]
        if shape != expected[name]:
            wrong.append(f"{name} is {list(shape)}, expected {list(expected[name])}")
        elif dtype not in (_INDICES if name.endswith(".position_ids") else _WEIGHTS):
            wrong.append(f"{name} has type {dtype}, expected any of {', '.join(_WEIGHTS)}")
    problems = [
        f"{len(found)} {what}: {_some(found)}"
        for what, found in (
            ("missing", sorted(expected.keys() - known)),
            ("unknown", sorted(known - expected.keys())),
            ("of another shape or type", wrong),
        )
        if found
    ]
    if problems:
        raise CheckpointError(
            f"{source.folder} is no VideoChat-TPO checkpoint of the sizes it should have; "
            f"tensors {'; '.join(problems)}; give the release's folder (OpenGVLab/VideoChat-TPO), "
            "or what a conversion back wrote"
        )
    return legacy


def _published(name: str, shape: Shape, *, rank: int) -> dict[str, Shape]:
    """Return the released tensors that one of the backbone's becomes, LoRA's with it."""
    if not name.startswith("lm."):
        return {name: shape}
    full = f"lm.base_model.model.{name.removeprefix('lm.')}"
    module, _, last = full.rpartition(".")
    if last != "weight" or module.rpartition(".")[2] not in (*_ADAPTED, "lm_head"):
        return {full: shape}
    return {
        f"{module}.base_layer.weight": shape,
        f"{module}.lora_A.default.weight": (rank, shape[1]),
        f"{module}.lora_B.default.weight": (shape[0], rank),
    }


def _heads(sizes: Sizes) -> dict[str, Any]:
    """Return the heads' tensors under the release's names."""
    from torch import zeros

    from tpo_heads.mask.adapter import PromptAdapter, TwoLayers
    from tpo_heads.mask.prompts import PROMPT_ROWS
    from tpo_heads.region import RegionHead
    from tpo_heads.temporal_cgdetr import CGDETRHead

    width = sizes.backbone.language.hidden_size
    hidden = sizes.heads["mask"].get("adapter_hidden") or width
    prompts = zeros(PROMPT_ROWS, int(sam2_config(sizes)["memory_attention"]["d_model"]))
    adapter = PromptAdapter(width, hidden=hidden, start=prompts)
    boxes = TwoLayers(width, hidden=hidden, out=4)
    temporal = CGDETRHead(width, **sizes.heads["temporal_cgdetr"])
    return {
        **RegionHead(width, **sizes.heads["region"]).state_dict(),
        **temporal.state_dict(),
        **_prefixed("track_embed", adapter.state_dict()),
        **_prefixed("track_embed_decode2", boxes.state_dict()),
    }


def _prefixed(name: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in tensors.items()}


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more
