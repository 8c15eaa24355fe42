"""Visual features of one media item: computed once, kept, and handed back to the model.

transformers models take precomputed features as `mm_encoder_outputs`, a mapping from `"image"` and
`"video"` to what `get_image_features` and `get_video_features` return; here those are flattened to
rows so that several items can be laid end to end.

Shapes: N visual tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

# How a field of the encoder's output joins over items: rows end to end, a list of such (one per
# layer), or a table that is the same for every item.
FieldKind = Literal["rows", "layers", "table"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Visual:
    """Features of one media item.

    Args:
        modality: Which placeholder they fill.
        rows: `[N, D]`, in the order of the placeholders.
        counts: Rows of each image where the model keeps images apart, else one number.
        is_sequence: Whether the model expects a list of tensors instead of one.
        fields: Further fields of the encoder's output that the model reads: kind, and tensors.
        frames: `[F, D]`, features of all frames in order, where `rows` do not hold them.
    """

    modality: Literal["image", "video"]
    rows: Tensor
    counts: tuple[int, ...]
    is_sequence: bool
    fields: dict[str, tuple[FieldKind, list[Tensor]]] = field(default_factory=dict)
    frames: Tensor | None = None

    @classmethod
    def of(
        cls,
        modality: Literal["image", "video"],
        output: Any,
        *,
        fields: Mapping[str, FieldKind] | None = None,
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
            fields={
                name: (kind, _flat(getattr(output, name), kind))
                for name, kind in (fields or {}).items()
            },
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
                name: (kind, [function(value) for value in values])
                for name, (kind, values) in self.fields.items()
            },
            frames=None if self.frames is None else function(self.frames),
        )


def join(items: Sequence[Visual], *, one_placeholder: bool = False) -> dict[str, Any]:
    """Lay the features of several items end to end as `mm_encoder_outputs`.

    Args:
        items: In the order of their placeholders.
        one_placeholder: Whether videos fill the images' placeholder.
    """
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    outputs: dict[str, Any] = {}
    for modality in ("image", "video"):
        chosen = [
            item for item in items if ("image" if one_placeholder else item.modality) == modality
        ]
        if not chosen:
            continue
        rows = torch.cat([item.rows for item in chosen])
        output: Any = BaseModelOutputWithPooling()
        output["pooler_output"] = [rows] if chosen[0].is_sequence else rows[None]
        for name, (kind, _) in chosen[0].fields.items():
            # Not every output class declares the field; the models read it as an attribute.
            setattr(output, name, _cat([item.fields[name][1] for item in chosen], kind))
        outputs[modality] = output
    return outputs


def _flat(value: Any, kind: FieldKind) -> list[Tensor]:
    if kind != "layers":
        return [value.flatten(0, -2)]
    return [torch.cat([part.flatten(0, -2) for part in layer]) for layer in value]


def _cat(values: Sequence[list[Tensor]], kind: FieldKind) -> Any:
    if kind == "table":
        return values[0][0]
    joined = [torch.cat(parts) for parts in zip(*values, strict=True)]
    # Models keep the images of each layer apart and join them themselves.
    return [[layer] for layer in joined] if kind == "layers" else joined[0]
