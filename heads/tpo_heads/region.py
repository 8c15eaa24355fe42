"""The region head: a two-layer MLP from a task token's state to one box, as in upstream TPO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, TaskHead
from tpo_core.records.schema import RegionPrompt, RegionTarget
from tpo_core.results import Box, Result
from tpo_core.tokens import REGION
from tpo_heads.boxes import giou_loss, order_corners, valid_giou_loss

Activation = Literal["sigmoid", "none"]
Inverted = Literal["ordered", "left_out"]

_CENTRED = (0.25, 0.25, 0.75, 0.75)


class RegionHead(TaskHead):
    """Predicts the box a `<region>` stands for, xyxy normalised to the original image.

    Trained with 2 L1 + 0.2 (1 - GIoU). Parameter names and shapes are upstream's (`loc_decoder`,
    `loc_encoder`); its checkpoint loads and gives the same boxes with `activation="none"`.

    Args:
        hidden_size: D, width of the backbone's hidden states.
        state: Which state feeds the head, see `TaskHead`.
        activation: `"sigmoid"`: sigmoids of the MLP's four outputs are centre and size, as in DETR,
            so that no box is inverted; learns several times faster. `"none"`: the outputs are xyxy
            as they are, as upstream; needed for its checkpoint.
        inverted: What GIoU does with predictions whose corners are swapped: `"ordered"` compares
            them by their ordered corners; `"left_out"` takes the mean over the others, or the
            constant 2 if there are none, as upstream. The latter depends on how a batch is split.
        l1_weight: Weight of the mean absolute error over the four coordinates.
        giou_weight: Weight of 1 - GIoU.

    Raises:
        InputError: If an option is not one of the values above.
    """

    tokens = (REGION,)
    Target = RegionTarget

    def __init__(
        self,
        hidden_size: int,
        *,
        state: Literal["slot", "trigger"] = "slot",
        activation: Activation = "sigmoid",
        inverted: Inverted = "ordered",
        l1_weight: float = 2.0,
        giou_weight: float = 0.2,
    ) -> None:
        super().__init__(hidden_size, state=state)
        if activation not in ("none", "sigmoid"):
            raise InputError(
                f"region head option activation is {activation!r}; expected 'sigmoid' or 'none'"
            )
        if inverted not in ("ordered", "left_out"):
            raise InputError(
                f"region head option inverted is {inverted!r}; expected 'ordered' or 'left_out'"
            )
        if min(l1_weight, giou_weight) < 0:
            raise InputError(
                f"region head weights are l1_weight={l1_weight}, giou_weight={giou_weight}; "
                "expected values of at least 0"
            )
        self.activation, self.inverted = activation, inverted
        self._weights = {"l1": l1_weight, "giou": giou_weight}
        width = max(hidden_size // 2, 1)
        self.loc_decoder = nn.Sequential(
            nn.Linear(hidden_size, width), nn.ReLU(), nn.Linear(width, 4)
        )
        self.loc_encoder = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Linear(width, hidden_size)
        )
        if activation == "none":
            # Start at a centred box: raw outputs around zero are inverted half of the time.
            with torch.no_grad():
                self.loc_decoder[-1].get_parameter("bias").copy_(torch.tensor(_CENTRED))

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weights of `l1` and `giou`."""
        return self._weights

    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        """Predict boxes.

        Args:
            states: `[N, D]`.
            context: Not looked at; the state alone says where.

        Returns:
            `[N, 4]` float32 xyxy; with activation `"none"` neither clamped nor ordered.
        """
        raw: Tensor = self.loc_decoder(states.to(self.parameter_dtype())).float()
        if self.activation == "none":
            return raw
        boxes: Tensor = box_convert(raw.sigmoid(), "cxcywh", "xyxy")
        return boxes

    def loss(self, outputs: Tensor, targets: Sequence[RegionTarget]) -> LossTerms:
        """Sum L1 and 1 - GIoU over N boxes; see `TaskHead.loss`."""
        target = outputs.new_tensor([item.box for item in targets])
        l1 = (outputs - target).abs().mean(-1)
        count = float(len(targets))
        if self.inverted == "left_out":
            giou = valid_giou_loss(outputs, target) * count
        else:
            giou = giou_loss(outputs, target).sum()
        return {"l1": (l1.sum(), count), "giou": (giou, count)}

    def decode(self, outputs: Tensor, context: HeadContext) -> list[Result]:
        """Return one `Box` per slot, clamped to the image and ordered."""
        boxes = order_corners(outputs.detach().clamp(0, 1))
        return [Box(*box) for box in boxes.tolist()]

    def encode_prompts(self, prompts: Sequence[RegionPrompt]) -> Tensor:
        """Embed the boxes of P prompts as `[P, D]`."""
        weight = self.loc_encoder[0].get_parameter("weight")
        boxes = torch.tensor(
            [prompt.box for prompt in prompts], dtype=weight.dtype, device=weight.device
        )
        embeddings: Tensor = self.loc_encoder(boxes.reshape(-1, 4))
        return embeddings
