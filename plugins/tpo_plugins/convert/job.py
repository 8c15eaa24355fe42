"""One conversion of the released checkpoint: what is read, and as what it is to be written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tpo_core.tokens import UPSTREAM_ORDER
from tpo_plugins.convert.names import Part, Place
from tpo_plugins.convert.shards import ShardedCheckpoint
from tpo_plugins.convert.sizes import Sizes

BYTES_OF: Final = {"float32": 4, "bfloat16": 2, "float16": 2}
DTYPE_OF: Final = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Types of weights by what safetensors calls them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A conversion.

    Args:
        source: The released checkpoint.
        sizes: Of its parts.
        places: Where each tensor goes, by its released name.
        merge: Whether LoRA and the slots' rows are folded into the weights.
        dtype: Of the backbone's weights; as released if None.
    """

    source: ShardedCheckpoint
    sizes: Sizes
    places: Mapping[str, Place]
    merge: bool
    dtype: str | None

    def part(self, part: Part) -> dict[str, str]:
        """Return the released names of a part's tensors by their names there."""
        return {
            place.name: published for published, place in self.places.items() if place.part == part
        }

    @property
    def tokens(self) -> dict[str, int]:
        """Ids of the seven task tokens by text: the last rows of the vocabulary."""
        first = self.sizes.backbone.language.vocabulary - len(UPSTREAM_ORDER)
        return {text: first + number for number, text in enumerate(UPSTREAM_ORDER)}

    def bytes_of(self, published: str) -> int:
        """Return how many bytes a tensor takes as it is written."""
        header = self.source.headers[published]
        is_cast = self.places[published].part == "backbone" and header.dtype in DTYPE_OF
        if self.dtype is None or not is_cast:
            return header.bytes
        return math.prod(header.shape) * BYTES_OF[self.dtype]
