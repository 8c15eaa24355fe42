"""Keep visual features of frozen vision towers, so that an item is encoded once in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from torch import Tensor

from tpo_core.backbone import RenderedRecord


@dataclass(slots=True)
class FeatureCache:
    """Encoded media by file and frames, up to a number of bytes; what does not fit is not kept.

    Args:
        limit: Bytes.
    """

    limit: int
    held: int = 0
    hits: int = 0
    items: dict[tuple[str, tuple[int, ...]], Any] = field(default_factory=dict)

    def encode(
        self,
        records: Sequence[RenderedRecord],
        encode: Callable[[Sequence[RenderedRecord]], list[Any]],
    ) -> list[Any]:
        """Return features of every record, computing only those not held."""
        keys = [_key(record) for record in records]
        missing = [i for i, key in enumerate(keys) if key is None or key not in self.items]
        fresh = dict(zip(missing, encode([records[i] for i in missing]), strict=True))
        for i, value in fresh.items():
            key, size = keys[i], nbytes(value)
            if key is not None and key not in self.items and self.held + size <= self.limit:
                self.items[key] = value
                self.held += size
        self.hits += len(records) - len(missing)
        held = self.items
        return [fresh[i] if key is None or i in fresh else held[key] for i, key in enumerate(keys)]

    def clear(self) -> None:
        """Forget everything: the tower is about to change."""
        self.items.clear()
        self.held = 0


def nbytes(value: Any) -> int:
    """Return the bytes of all tensors inside dataclasses, mappings and sequences."""
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    if is_dataclass(value) and not isinstance(value, type):
        return sum(nbytes(getattr(value, item.name)) for item in fields(value))
    if isinstance(value, Mapping):
        return sum(map(nbytes, value.values()))
    return sum(map(nbytes, value)) if isinstance(value, (list, tuple)) else 0


def _key(record: RenderedRecord) -> tuple[str, tuple[int, ...]] | None:
    """Name a media item; None for text and for media that no file names."""
    media = record.media
    if media is None or media.source == "memory":
        return None
    return media.source, media.indices
