"""Visual features of one media item: computed once, kept, and handed back to the model.

transformers models take precomputed features as `mm_encoder_outputs`, a mapping from `"image"` and
`"video"` to what `get_image_features` and `get_video_features` return; here those are flattened to
rows so that several items can be laid end to end.

Shapes: N visual tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Value = Tensor | list[Tensor]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Visual:
    """Features of one media item.

    Args:
        modality: Which placeholder they fill.
        rows: `[N, D]`, in the order of the placeholders.
        counts: Rows of each image where the model keeps images apart, else one number.
        is_sequence: Whether the model expects a list of tensors instead of one.
        fields: Further fields of the encoder's output that the model reads, flattened likewise.
        frames: Features by time, `[T, n, D]`, where `rows` do not hold them.
    """

    modality: Literal["image", "video"]
    rows: Tensor
    counts: tuple[int, ...]
    is_sequence: bool
    fields: dict[str, Value] = field(default_factory=dict)
    frames: Tensor | None = None

    @classmethod
    def of(
        cls,
        modality: Literal["image", "video"],
        output: Any,
        *,
        fields: Sequence[str] = (),
        frames: Tensor | None = None,
    ) -> Visual:
        """Flatten what a `get_*_features` returned."""
        pooled = output.pooler_output
        is_sequence = isinstance(pooled, (list, tuple))
        images = [pooled] if not is_sequence and pooled.dim() == 2 else pooled
        parts = [part.flatten(0, -2) for part in images]
        return cls(
            modality=modality,
            rows=torch.cat(parts),
            counts=tuple(len(part) for part in parts),
            is_sequence=is_sequence,
            fields={name: _flat(getattr(output, name)) for name in fields},
            frames=frames,
        )

    def detach(self) -> Visual:
        """Return the same features cut off from the graph."""
        return self._map(Tensor.detach)

    def to(self, device: torch.device | str) -> Visual:
        """Return the same features on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Any) -> Visual:
        return Visual(
            modality=self.modality,
            rows=function(self.rows),
            counts=self.counts,
            is_sequence=self.is_sequence,
            fields={
                name: [function(v) for v in value] if isinstance(value, list) else function(value)
                for name, value in self.fields.items()
            },
            frames=None if self.frames is None else function(self.frames),
        )


def join(items: Sequence[Visual]) -> dict[str, Any]:
    """Lay the features of several items end to end as `mm_encoder_outputs`."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    outputs: dict[str, Any] = {}
    for modality in ("image", "video"):
        chosen = [item for item in items if item.modality == modality]
        if not chosen:
            continue
        rows = torch.cat([item.rows for item in chosen])
        output: Any = BaseModelOutputWithPooling()
        output["pooler_output"] = [rows] if chosen[0].is_sequence else rows[None]
        for name in chosen[0].fields:
            # Not every output class declares the field; the models read it as an attribute.
            setattr(output, name, _cat([item.fields[name] for item in chosen]))
        outputs[modality] = output
    return outputs


def _flat(value: Any) -> Value:
    if isinstance(value, (list, tuple)):
        return [part.flatten(0, -2) for part in value]
    flat: Tensor = value.flatten(0, -2)
    return flat


def _cat(values: Sequence[Value]) -> Value:
    if isinstance(values[0], list):
        return [torch.cat(list(parts)) for parts in zip(*values, strict=True)]
    return torch.cat([value for value in values if isinstance(value, Tensor)])
