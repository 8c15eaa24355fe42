"""A head that points, and an adapter for Gemma 3 with LoRA on attention only.

Shapes: N slots, D hidden size of the backbone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_core import TaskHead
from tpo_core.head import HeadContext, LossTerms
from tpo_core.results import Result
from tpo_example import POINT

Coordinate = Annotated[float, Field(ge=0, le=1)]


class PointTarget(BaseModel):
    """What a record gives for a `<point>`: `{"task": "point", "point": [0.25, 0.5]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["point"] = "point"
    point: tuple[Coordinate, Coordinate]


@dataclass(frozen=True, slots=True)
class Point(Result):
    """A point; x and y normalised to [0, 1] of the original image."""

    x: float
    y: float

    def to_json(self) -> dict[str, Any]:
        """Return `{"point": [x, y]}`, normalised."""
        return {"point": [round(self.x, 5), round(self.y, 5)]}

    def __str__(self) -> str:
        """The point as it stands in the answer's text."""
        return f"({self.x:.2f}, {self.y:.2f})"


class PointHead(TaskHead):
    """Predicts the point a `<point>` stands for, trained with an L1 loss.

    Args:
        hidden_size: D.
        state: Which state feeds the head, see `TaskHead`.
        l1_weight: Weight of the mean absolute error over x and y.
    """

    tokens = (POINT,)
    Target = PointTarget

    def __init__(
        self,
        hidden_size: int,
        *,
        state: Literal["slot", "trigger"] = "slot",
        l1_weight: float = 1.0,
    ) -> None:
        super().__init__(hidden_size, state=state)
        self.l1_weight = l1_weight
        self.layers = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.Linear(hidden_size, 2)
        )

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weight of `l1`."""
        return {"l1": self.l1_weight}

    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        """Predict points.

        Args:
            states: `[N, D]`.
            context: Not looked at.

        Returns:
            `[N, 2]` float32 xy in [0, 1].
        """
        points: Tensor = self.layers(states.to(self.parameter_dtype())).float().sigmoid()
        return points

    def loss(self, outputs: Tensor, targets: Sequence[PointTarget]) -> LossTerms:
        """Sum the error over N points; the engine divides by their global number."""
        expected = outputs.new_tensor([target.point for target in targets])
        return {"l1": ((outputs - expected).abs().mean(-1).sum(), float(len(targets)))}

    def decode(self, outputs: Tensor, context: HeadContext) -> list[Result]:
        """Return one `Point` per slot."""
        return [Point(x, y) for x, y in outputs.detach().tolist()]


class Gemma3Adapter(TransformersAdapter):
    """Gemma 3 with LoRA on the attention projections only; all else is the generic adapter's."""

    model_types = ("gemma3",)

    def lora_targets(self) -> list[str]:
        """Return the names of the projections of queries, keys, values and outputs."""
        return [name for name in super().lora_targets() if ".self_attn." in name]
