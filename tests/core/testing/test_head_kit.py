"""The head kit passes a small honest head and catches each kind of broken one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, TaskHead
from tpo_core.records.schema import MaskTarget, RegionTarget, TemporalTarget
from tpo_core.results import Result
from tpo_core.testing import HeadConformance
from tpo_core.testing.head_samples import sample_context, sample_targets, take_slots
from tpo_core.tokens import TaskToken


class CountTarget(BaseModel):
    task: Literal["count"] = "count"
    count: float


class Count(Result):
    def __init__(self, value: float) -> None:
        self.value = value

    def to_json(self) -> dict[str, Any]:
        return {"count": self.value}

    def __str__(self) -> str:
        return f"{self.value:.1f}"


class CountHead(TaskHead):
    """A plugin's head with a target model and a result of its own."""

    tokens = (TaskToken(task="count", trigger="<count_begin>", slot="<count_slot>"),)
    Target = CountTarget

    def __init__(
        self, hidden_size: int, *, state: Literal["slot", "trigger"] = "slot", bins: int = 8
    ) -> None:
        super().__init__(hidden_size, state=state)
        if bins < 1:
            raise InputError(f"count head option bins is {bins}; expected at least 1")
        self.net = nn.Sequential(nn.Linear(hidden_size, bins), nn.Tanh(), nn.Linear(bins, 1))

    @property
    def loss_weights(self) -> Mapping[str, float]:
        return {"square": 1.0}

    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        counts: Tensor = self.net(states.to(self.parameter_dtype())).squeeze(-1).float()
        return counts

    def loss(self, outputs: Tensor, targets: Sequence[CountTarget]) -> LossTerms:
        wanted = outputs.new_tensor([target.count for target in targets])
        return {"square": (((outputs - wanted) ** 2).sum(), float(len(targets)))}

    def decode(self, outputs: Tensor, context: HeadContext) -> list[Result]:
        return [Count(value) for value in outputs.tolist()]


class TestCountHead(HeadConformance):
    bad_options = ({"bins": 0},)

    @pytest.fixture
    def head_factory(self) -> Callable[..., TaskHead]:
        return CountHead

    def make_targets(self, context: HeadContext, *, seed: int = 0) -> list[CountTarget]:
        return [CountTarget(count=slot % 4) for slot in range(len(context.media_index))]


class MeanLoss(CountHead):
    def loss(self, outputs: Tensor, targets: Sequence[CountTarget]) -> LossTerms:
        total, count = super().loss(outputs, targets)["square"]
        return {"square": (total / count, count)}


class WrongCount(CountHead):
    def loss(self, outputs: Tensor, targets: Sequence[CountTarget]) -> LossTerms:
        return {"square": (super().loss(outputs, targets)["square"][0], 1.0)}


class SeesTheBatch(CountHead):
    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        return super().forward(states - states.mean(0), context)


class Detached(CountHead):
    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        return super().forward(states.detach(), context)


class DeadParameter(CountHead):
    def __init__(self, hidden_size: int, **options: Any) -> None:
        super().__init__(hidden_size, **options)
        self.unused = nn.Parameter(torch.ones(1))


class LeaksTokens(CountHead):
    def decode(self, outputs: Tensor, context: HeadContext) -> list[Result]:
        results = super().decode(outputs, context)
        results[0].__class__ = LeakyCount
        return results


class LeakyCount(Count):
    def __str__(self) -> str:
        return "<count_begin> 3"


class Noisy(CountHead):
    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        return super().forward(nn.functional.dropout(states, 0.5, training=True), context)


class FloatOnly(CountHead):
    def forward(self, states: Tensor, context: HeadContext) -> Tensor:
        counts: Tensor = self.net(states.float()).squeeze(-1)
        return counts


class KeepsState(CountHead):
    def __init__(self, hidden_size: int, *, state: Any = "slot", bins: int = 8) -> None:
        super().__init__(hidden_size, bins=bins)


class Positional(CountHead):
    def __init__(self, hidden_size: int, state: Any = "slot", bins: int = 8) -> None:
        super().__init__(hidden_size, state=state, bins=bins)


class Frozen(CountHead):
    def loss(self, outputs: Tensor, targets: Sequence[CountTarget]) -> LossTerms:
        terms = super().loss(outputs, targets)
        return {"square": (terms["square"][0] * 1e-12 + 5.0, terms["square"][1])}


@pytest.mark.parametrize(
    ("head", "test", "message"),
    [
        (MeanLoss, "test_losses_add_up_over_any_split", "not close"),
        (WrongCount, "test_counts_are_known_from_targets", "square"),
        (SeesTheBatch, "test_slots_do_not_see_each_other", "slot"),
        (Detached, "test_gradients_reach_everything", "no gradient reaches the states"),
        (DeadParameter, "test_gradients_reach_everything", "unused gets no gradient"),
        (LeaksTokens, "test_results_are_typed", "count_begin"),
        (Noisy, "test_eval_is_deterministic", "loss square varies"),
        (Frozen, "test_learns_one_batch", "the loss went from"),
        (Positional, "test_options_are_json_and_by_keyword", "state is not keyword-only"),
    ],
)
def test_a_broken_head_is_caught(head: type[TaskHead], test: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        getattr(TestCountHead(), test)(head)


def test_a_head_that_cannot_run_in_half_precision_is_caught() -> None:
    with pytest.raises(RuntimeError, match="dtype"):
        TestCountHead().test_bfloat16(FloatOnly)


def test_a_head_that_ignores_the_state_option_is_caught() -> None:
    with pytest.raises(AssertionError):
        TestCountHead().test_state_is_an_option(KeepsState, "trigger")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        TestCountHead().test_bad_options_are_refused(KeepsState)


def test_a_head_that_forgets_weights_is_caught(tmp_path: Path) -> None:
    class Forgets(CountHead):
        def __init__(self, hidden_size: int, **options: Any) -> None:
            super().__init__(hidden_size, **options)
            self.offset = torch.randn(1)

        def forward(self, states: Tensor, context: HeadContext) -> Tensor:
            return super().forward(states, context) + self.offset

    with pytest.raises(AssertionError, match="loss square changed"):
        TestCountHead().test_weights_survive_safetensors(Forgets, tmp_path)


def test_an_unknown_target_model_is_asked_for() -> None:
    context = sample_context(CountHead(8), 2)
    with pytest.raises(NotImplementedError, match=r"CountTarget; override make_targets\(\)"):
        sample_targets(CountTarget, context)


@pytest.mark.parametrize("target", [RegionTarget, TemporalTarget, MaskTarget])
def test_sample_targets_are_valid_and_repeatable(target: type[BaseModel]) -> None:
    context = sample_context(CountHead(8), 7)
    targets = sample_targets(target, context)
    assert len(targets) == 7
    assert targets == sample_targets(target, context)
    assert targets != sample_targets(target, context, seed=1)


def test_take_slots_keeps_each_slots_video() -> None:
    context = sample_context(CountHead(8), 5)
    part = take_slots(context, [4, 2])
    assert [part.media_of(slot) for slot in (0, 1)] == [context.media_of(4), context.media_of(2)]
    assert len(part.media) == 2
    assert len(part.questions) == len(part.prompts) == 2
