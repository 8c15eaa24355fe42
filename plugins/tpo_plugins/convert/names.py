"""Where each tensor of the released VideoChat-TPO belongs in a saved model of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tpo_backbones.videochat.published import LEGACY, SLOT_OF, own_name

Part = Literal["backbone", "adapter", "heads", "sam2", "token", "constant", "legacy"]

# The head that owns a tensor, by the start of its name; heads keep upstream's names.
HEAD_OF: Final = {
    "loc_encoder.": "region",
    "loc_decoder.": "region",
    "cg_model.": "temporal_cgdetr",
    "track_embed.": "mask",
    "track_embed_decode2.": "mask",
}
SAM2: Final = "sam."
PEFT: Final = "base_model.model."
BASE: Final = ".base_layer"
TOKEN_ROWS: Final = f"{PEFT}lm.model.embed_tokens.token_adapter.trainable_tokens_delta"
# Weights of the two classes in the label loss, which are settings and not learnt.
CONSTANT: Final = "cg_criterion.empty_weight"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a released tensor goes.

    Args:
        part: The file of a saved model it belongs to; `"token"` becomes a row of the adapter's
            token rows, `"constant"` and `"legacy"` go nowhere.
        name: What it is called there; for a token, its text.
    """

    part: Part
    name: str


def place_of(published: str) -> Place | None:
    """Return where a tensor of the released checkpoint goes; None if it is not known.

    Args:
        published: Its name there.
    """
    if published in SLOT_OF:
        return Place("token", SLOT_OF[published])
    if published == CONSTANT:
        return Place("constant", published)
    if published.startswith(LEGACY):
        return Place("legacy", published)
    if published.startswith(SAM2):
        return Place("sam2", published.removeprefix(SAM2))
    for start, head in HEAD_OF.items():
        if published.startswith(start):
            return Place("heads", f"{head}.{published}")
    name = own_name(published)
    if name is None:
        return None
    if ".lora_" in name:
        return Place("adapter", PEFT + name.replace(".default.", "."))
    return Place("backbone", name.replace(f"{BASE}.", "."))


def places_of(published: Iterable[str]) -> dict[str, Place]:
    """Return where tensors of the released checkpoint go, by their names there.

    Args:
        published: Their names, all of them known.
    """
    found = {name: place_of(name) for name in published}
    unknown = [name for name, place in found.items() if place is None]
    assert not unknown, f"no place for {unknown}"
    return {name: place for name, place in found.items() if place is not None}
