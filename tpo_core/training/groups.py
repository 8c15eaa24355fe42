"""Parameter groups: what a stage trains, shown before it starts and proven to get gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from tpo_core.backbone import GroupName
from tpo_core.errors import InputError, UnknownName
from tpo_core.lora import is_lora, is_token_row
from tpo_core.model import TpoModel

BASE_GROUPS: tuple[GroupName, ...] = ("vision", "connector", "llm")


def parameter_groups(model: TpoModel) -> dict[str, dict[str, nn.Parameter]]:
    """Return every parameter that may be trained, by group and name.

    Groups: `lora`, `tokens` (rows of task tokens), `vision`, `connector`, `llm` (the backbone's own
    weights) and one by the name of each head.
    """
    groups: dict[str, dict[str, nn.Parameter]] = {"lora": {}, "tokens": {}}
    for name, parameter in model.backbone.model.named_parameters():
        if is_lora(name):
            groups["lora"][f"backbone.model.{name}"] = parameter
        elif is_token_row(name):
            groups["tokens"][f"backbone.model.{name}"] = parameter
    for base in BASE_GROUPS:
        groups[base] = {
            f"backbone.model.{name}": parameter
            for name, parameter in model.backbone.parameter_group(base).items()
        }
    for head in model.heads:
        groups[head] = {
            f"heads.{head}.{name}": parameter
            for name, parameter in model.heads[head].named_parameters()
            if name in model.trainable_in_head[head]
        }
    return groups


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainedGroup:
    """A group that a stage trains.

    Args:
        name: The group.
        rate: Its learning rate.
        parameters: By name.
    """

    name: str
    rate: float
    parameters: Mapping[str, nn.Parameter]

    @property
    def elements(self) -> int:
        """How many numbers train."""
        return sum(parameter.numel() for parameter in self.parameters.values())


def find(model: TpoModel, rates: Mapping[str, float]) -> list[TrainedGroup]:
    """Return the groups named.

    Args:
        model: Has the groups.
        rates: Learning rate by group.

    Raises:
        UnknownName: A group is not one of this model's.
        InputError: A group is empty, or a rate is not positive.
    """
    groups = parameter_groups(model)
    trained = []
    for name, rate in rates.items():
        if name not in groups:
            raise UnknownName("parameter group", name, groups)
        if not groups[name]:
            raise InputError(f"parameter group {name!r} is empty on this model; remove it")
        if not rate > 0:
            raise InputError(f"learning rate of {name!r} is {rate}; expected a positive number")
        trained.append(TrainedGroup(name=name, rate=rate, parameters=groups[name]))
    return trained


def select(model: TpoModel, rates: Mapping[str, float]) -> list[TrainedGroup]:
    """Freeze everything but the groups named, and return those.

    Args:
        model: Changed in place: `requires_grad` of every parameter.
        rates: Learning rate by group.

    Raises:
        UnknownName: See `find`.
        InputError: See `find`.
    """
    trained = find(model, rates)
    model.requires_grad_(False)
    for group in trained:
        for parameter in group.parameters.values():
            parameter.requires_grad_(True)
        if group.name in BASE_GROUPS:
            model.trained_groups.add(group.name)
    return trained


def table(trained: list[TrainedGroup]) -> list[tuple[str, int, int, float]]:
    """Return `(group, tensors, elements, rate)` rows."""
    return [(g.name, len(g.parameters), g.elements, g.rate) for g in trained]


@dataclass(slots=True)
class GradientProof:
    """Watches until every trained group got a gradient that is not zero.

    Args:
        groups: The stage's groups.
        patience: Steps after which a group without one is an error.
    """

    groups: list[TrainedGroup]
    patience: int = 20
    proven: dict[str, int] = field(default_factory=dict)
    steps: int = 0

    def look(self) -> list[str]:
        """Look at the gradients of a step; return the groups proven by it.

        Raises:
            InputError: A group had none in `patience` steps.
        """
        if len(self.proven) == len(self.groups):
            return []
        self.steps += 1
        fresh = []
        for group in self.groups:
            if group.name not in self.proven and any(
                p.grad is not None and bool(p.grad.any()) for p in group.parameters.values()
            ):
                self.proven[group.name] = self.steps
                fresh.append(group.name)
        if self.steps >= self.patience:
            self.require_all()
        return fresh

    def require_all(self) -> None:
        """Raise unless every group is proven.

        Raises:
            InputError: Names the groups without a gradient.
        """
        missing = [group.name for group in self.groups if group.name not in self.proven]
        if missing:
            raise InputError(
                f"no gradient reached {', '.join(missing)} in {self.steps} steps; check that the "
                "stage's data has targets for these heads, or remove the groups from its `train`"
            )
