"""The groups of a backbone's weights, by building it on the meta device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tpo_backbones.generic.layout import Layout


def backbone_tensors(place: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield group and shape of every tensor of a backbone that one of our adapters serves.

    Args:
        place: A folder or hub id.

    Raises:
        InputError: If there is no config, or no model of ours or of transformers has it.
    """
    layout = _layout(place)
    groups = groups_of(layout)
    for name, parameter in layout.model.named_parameters():
        yield groups[name], parameter.shape


def groups_of(layout: Layout) -> dict[str, str]:
    """Return the group of each of a model's own parameters by its name."""
    return {name: group for group, name, _ in layout.groups()}


def _layout(place: str) -> Layout:
    import torch

    from tpo_backbones.generic.layout import Layout
    from tpo_backbones.generic.loading import load_config
    from tpo_backbones.videochat.adapter import VideoChatLayout
    from tpo_backbones.videochat.checkpoint import find, read_config
    from tpo_backbones.videochat.config import MODEL_TYPE
    from tpo_backbones.videochat.model import VideoChatModel
    from tpo_core.errors import InputError
    from tpo_core.loading import model_type_of

    if model_type_of(place) == MODEL_TYPE:
        with torch.device("meta"):
            return VideoChatLayout(VideoChatModel(read_config(find(place))))
    from transformers import AutoModelForImageTextToText

    config, _ = load_config(place)
    try:
        with torch.device("meta"):
            return Layout(AutoModelForImageTextToText.from_config(config))
    except (ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"the backbone at {place!r} cannot be built: {reason}") from error
