"""SAM2's sparse prompt embedding: computing it for boxes, and putting our own in its place.

Shapes: K objects, C width of SAM2's prompts. A box is three rows: two corners and a padding point.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

PROMPT_ROWS = 3
BOX_LABELS = (2, 3)  # SAM's labels of a box's top-left and bottom-right corner


def box_points(boxes: Tensor, *, image_size: int) -> dict[str, Tensor]:
    """Write boxes as SAM2's point inputs.

    Args:
        boxes: `[K, 4]` xyxy, normalised.
        image_size: Side of SAM2's square input in pixels.

    Returns:
        `point_coords` `[K, 2, 2]` in pixels of that input and `point_labels` `[K, 2]` int32.
    """
    labels = torch.tensor(BOX_LABELS, dtype=torch.int32, device=boxes.device)
    return {
        "point_coords": (boxes.float() * image_size).reshape(-1, 2, 2),
        "point_labels": labels.expand(len(boxes), 2),
    }


def box_embedding(sam: Any, boxes: Tensor) -> Tensor:
    """Return SAM2's own sparse prompt embedding of boxes.

    Args:
        sam: A `SAM2Base`.
        boxes: `[K, 4]` xyxy, normalised.

    Returns:
        `[K, 3, C]` float32; the third row is SAM2's constant "not a point" vector.
    """
    points = box_points(boxes.to(sam.device), image_size=sam.image_size)
    sparse: Tensor = sam.sam_prompt_encoder(
        points=(points["point_coords"], points["point_labels"]), boxes=None, masks=None
    )[0]
    return sparse


@contextmanager
def injected_prompt(sam: Any, sparse: Tensor) -> Iterator[None]:
    """Make SAM2 use `sparse` `[K, 3, C]` for whatever points it is given inside the block.

    The dense part (SAM2's no-mask embedding) stays its own. Call SAM2 with dummy boxes, so that it
    counts two points and answers with a single mask.
    """

    def replace(_module: nn.Module, _args: Any, output: tuple[Tensor, Tensor]) -> Any:
        return sparse.to(output[0].dtype), output[1]

    hook = sam.sam_prompt_encoder.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()
