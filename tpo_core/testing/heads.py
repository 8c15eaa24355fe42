"""The contract of a task head as a pytest class: subclass it, give one fixture, get every test.

    from tpo_core.testing import HeadConformance

    class TestCountHead(HeadConformance):
        bad_options = ({"bins": 0},)

        @pytest.fixture
        def head_factory(self):
            return CountHead                       # called as head_factory(hidden_size, **options)

        def make_targets(self, context, *, seed=0):  # only for a target model of your own
            return [CountTarget(count=slot % 4) for slot in range(len(context.media_index))]

A head that wants other media, longer training or looser comparison overrides `make_context`,
`make_prompts` or the class attributes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, TaskHead
from tpo_core.results import Result
from tpo_core.testing.head_samples import (
    sample_context,
    sample_prompts,
    sample_targets,
    take_slots,
)
from tpo_core.tokens import TaskToken

HeadFactory = Callable[..., TaskHead]


class HeadConformance:
    """Every promise the engine relies on; see the module for how to subclass it.

    Class attributes:
        bad_options: Options that the head must refuse with `InputError`; an unknown `state` is
            always tried.
        slots: N of the batches.
        tolerance: Greatest difference of a number in a result when a batch is split or reordered.
        mask_tolerance: Greatest share of a mask's pixels that may differ then.
        half_tolerant: Whether the head runs with bfloat16 parameters.
        overfit_steps: Steps of AdamW in the overfit test.
        overfit_lr: Its learning rate.
        overfit_ratio: Share of the first loss that the last must not exceed.
    """

    bad_options: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    slots: ClassVar[int] = 5
    tolerance: ClassVar[float] = 1e-4
    mask_tolerance: ClassVar[float] = 0.01
    half_tolerant: ClassVar[bool] = True
    overfit_steps: ClassVar[int] = 60
    overfit_lr: ClassVar[float] = 5e-3
    overfit_ratio: ClassVar[float] = 0.5

    # ---- what a subclass gives

    @pytest.fixture
    def head_factory(self) -> HeadFactory:
        """Return a callable `(hidden_size, **options) -> TaskHead`; subclasses must give it."""
        pytest.fail(f"{type(self).__name__} gives no head_factory fixture")

    def make_context(self, head: TaskHead, slots: int, *, seed: int = 0) -> HeadContext:
        """Return a context of `slots` slots; by default up to three short videos."""
        return sample_context(head, slots, seed=seed)

    def make_targets(self, context: HeadContext, *, seed: int = 0) -> Sequence[BaseModel]:
        """Return one target per slot; by default known for the target models of this package."""
        return sample_targets(self._target, context, seed=seed)

    def make_prompts(self, count: int) -> Sequence[BaseModel]:
        """Return prompts for a head with a prompt token; by default boxes."""
        return sample_prompts(count)

    # ---- declarations

    def test_tokens_are_declared_and_distinct(self, head_factory: HeadFactory) -> None:
        """At least one task token; no text stands for two things."""
        tokens = head_factory(32).tokens
        assert tokens, "the head declares no tokens"
        assert all(isinstance(token, TaskToken) for token in tokens)
        texts = [text for token in tokens for text in token.texts]
        assert len(texts) == len(set(texts)), f"token texts repeat: {texts}"
        tasks = [token.task for token in tokens]
        assert len(tasks) == len(set(tasks)), f"tasks repeat: {tasks}"

    def test_target_model_names_the_task(self, head_factory: HeadFactory) -> None:
        """A record's `"task"` selects the target model."""
        head = head_factory(32)
        assert issubclass(head.Target, BaseModel)
        field = head.Target.model_fields.get("task")
        assert field is not None, f"{head.Target.__name__} has no field 'task'"
        tasks = [token.task for token in head.tokens]
        assert field.default in tasks, f"default task {field.default!r} is not among {tasks}"

    def test_targets_survive_json(self, head_factory: HeadFactory) -> None:
        """Targets can be written to a record and read back."""
        head, _, _, targets = self._batch(head_factory)
        for target in targets:
            assert head.Target.model_validate_json(target.model_dump_json()) == target

    def test_needs_are_known(self, head_factory: HeadFactory) -> None:
        """The engine can provide what the head needs."""
        assert head_factory(32).needs <= {"frames", "frame_features"}

    def test_options_are_json_and_by_keyword(self, head_factory: HeadFactory) -> None:
        """`hidden_size` comes first; every option is keyword-only with a default JSON can hold."""
        parameters = list(inspect.signature(type(head_factory(32))).parameters.values())
        assert parameters[0].name == "hidden_size"
        for option in parameters[1:]:
            assert option.kind is option.KEYWORD_ONLY, f"option {option.name} is not keyword-only"
            assert option.default is not option.empty, f"option {option.name} has no default"
            json.dumps(option.default)

    def test_bad_options_are_refused(self, head_factory: HeadFactory) -> None:
        """A value the head does not know is an InputError that names it."""
        for options in ({"state": "elsewhere"}, *self.bad_options):
            with pytest.raises(InputError) as caught:
                head_factory(32, **options)
            assert any(str(value) in str(caught.value) for value in options.values())
        with pytest.raises(InputError):
            head_factory(0)

    @pytest.mark.parametrize("state", ["slot", "trigger"])
    def test_state_is_an_option(self, head_factory: HeadFactory, state: str) -> None:
        """The engine reads from the head which state to feed; the default is the slot's."""
        assert head_factory(32, state=state).state == state
        assert head_factory(32).state == "slot"

    # ---- forward, loss, decode

    @pytest.mark.parametrize("hidden_size", [32, 48, 96])
    def test_any_hidden_size(self, head_factory: HeadFactory, hidden_size: int) -> None:
        """No width of backbone is special."""
        head, states, context, targets = self._batch(head_factory, hidden_size=hidden_size)
        outputs = head(states, context)
        for name, (total, _) in head.loss(outputs, targets).items():
            assert total.isfinite(), f"loss {name} is {total}"
        assert len(head.decode(outputs, context)) == len(targets)

    @pytest.mark.parametrize("slots", [1, 2, 7])
    def test_any_number_of_slots(self, head_factory: HeadFactory, slots: int) -> None:
        """One result per slot."""
        head, states, context, targets = self._batch(head_factory, slots=slots)
        outputs = head(states, context)
        head.loss(outputs, targets)
        assert len(head.decode(outputs, context)) == slots

    def test_results_are_typed(self, head_factory: HeadFactory) -> None:
        """Results become JSON, and text without task tokens."""
        head, states, context, _ = self._batch(head_factory)
        texts = [text for token in head.tokens for text in (*token.texts, token.marker)]
        for result in head.decode(head(states, context), context):
            assert isinstance(result, Result)
            json.dumps(result.to_json(), allow_nan=False)
            assert str(result)
            assert not [text for text in texts if text in str(result)]

    def test_slots_do_not_see_each_other(self, head_factory: HeadFactory) -> None:
        """A slot's result is the same alone, in another order, and in any split of the batch."""
        head, states, context, _ = self._batch(head_factory)
        whole = head.decode(head(states, context), context)
        order = list(reversed(range(self.slots)))
        singles = [[row] for row in range(self.slots)]
        for split in ([order], [order[:2], order[2:]], singles):
            for rows in split:
                part = take_slots(context, rows)
                results = head.decode(head(states[rows], part), part)
                for row, result in zip(rows, results, strict=True):
                    self._assert_same(result, whole[row], f"slot {row} in {split}")

    def test_losses_add_up_over_any_split(self, head_factory: HeadFactory) -> None:
        """Sums and counts of parts are those of the whole, so that gradients are too."""
        head, states, context, targets = self._batch(head_factory)
        whole = head.loss(head(states, context), targets)
        for split in ([[0], list(range(1, self.slots))], [[row] for row in range(self.slots)]):
            parts = [
                head.loss(head(states[rows], take_slots(context, rows)), [targets[r] for r in rows])
                for rows in split
            ]
            for name, (total, count) in whole.items():
                summed = torch.stack([part[name][0] for part in parts]).sum()
                torch.testing.assert_close(summed, total, rtol=1e-3, atol=1e-4)
                assert sum(part[name][1] for part in parts) == pytest.approx(count)

    def test_counts_are_known_from_targets(self, head_factory: HeadFactory) -> None:
        """The engine normalises before the forward pass; loss() must agree with counts()."""
        head, states, context, targets = self._batch(head_factory)
        terms = head.loss(head(states, context), targets)
        assert set(terms) == set(head.loss_weights), "loss() and loss_weights name other terms"
        assert {name: count for name, (_, count) in terms.items()} == head.counts(targets)
        for name, (total, count) in terms.items():
            assert total.ndim == 0, f"loss {name} has shape {list(total.shape)}, not a scalar"
            assert total.isfinite(), f"loss {name} is {total}"
            assert count > 0, f"loss {name} counts no item"

    def test_good_targets_are_not_skipped(self, head_factory: HeadFactory) -> None:
        """skip_reason() is for what cannot be trained on."""
        head, _, context, targets = self._batch(head_factory)
        for slot, target in enumerate(targets):
            assert head.skip_reason(target, context.media_of(slot)) is None

    def test_prompts(self, head_factory: HeadFactory) -> None:
        """A prompt token means prompts become `[P, D]` with gradients; none means a clear error."""
        head = head_factory(32)
        if not any(token.prompt for token in head.tokens):
            with pytest.raises(InputError):
                head.encode_prompts([])
            return
        embedded = head.encode_prompts(self.make_prompts(3))
        assert embedded.shape == (3, 32)
        assert embedded.isfinite().all()
        assert embedded.requires_grad

    # ---- training

    def test_gradients_reach_everything(self, head_factory: HeadFactory) -> None:
        """Every state and every trainable parameter gets a finite gradient that is not zero."""
        head, states, context, targets = self._batch(head_factory)
        states.requires_grad_()
        loss = self._total(head, head.loss(head(states, context), targets))
        if any(token.prompt for token in head.tokens):
            loss = loss + head.encode_prompts(self.make_prompts(3)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        assert states.grad is not None, "no gradient reaches the states"
        assert states.grad.isfinite().all()
        assert (states.grad.abs().sum(-1) > 0).all(), "a slot's state gets no gradient"
        for name, parameter in head.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"{name} gets no gradient"
                assert parameter.grad.isfinite().all(), f"{name} gets a gradient that is not finite"
                assert parameter.grad.abs().sum() > 0, f"{name} gets a zero gradient"

    def test_learns_one_batch(self, head_factory: HeadFactory) -> None:
        """The loss falls when one batch is repeated."""
        torch.manual_seed(0)
        head, states, context, targets = self._batch(head_factory)
        head.train()
        trainable = [parameter for parameter in head.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=self.overfit_lr)
        first = None
        for _ in range(self.overfit_steps):
            loss = self._total(head, head.loss(head(states, context), targets))
            first = loss.item() if first is None else first
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        head.eval()
        last = self._total(head, head.loss(head(states, context), targets)).item()
        assert first is not None
        assert last <= self.overfit_ratio * first, f"the loss went from {first:.4f} to {last:.4f}"

    def test_eval_is_deterministic(self, head_factory: HeadFactory) -> None:
        """Two evaluations of one input are equal to the bit."""
        head, states, context, targets = self._batch(head_factory)
        runs = [head.loss(head(states, context), targets) for _ in range(2)]
        for name in runs[0]:
            assert torch.equal(runs[0][name][0], runs[1][name][0]), f"loss {name} varies"

    def test_weights_survive_safetensors(self, head_factory: HeadFactory, tmp_path: Path) -> None:
        """A saved head gives the same results when loaded into a fresh one."""
        from safetensors.torch import load_file, save_file

        head, states, context, targets = self._batch(head_factory)
        save_file(head.state_dict(), tmp_path / "head.safetensors")
        torch.manual_seed(99)
        other = head_factory(32).eval()
        other.load_state_dict(load_file(tmp_path / "head.safetensors"))
        expected = head.loss(head(states, context), targets)
        for name, (total, _) in other.loss(other(states, context), targets).items():
            assert torch.equal(total, expected[name][0]), f"loss {name} changed"

    def test_bfloat16(self, head_factory: HeadFactory) -> None:
        """The head runs under autocast and, where it says so, with bfloat16 parameters."""
        head, states, context, targets = self._batch(head_factory)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            self._assert_usable(head, states, context, targets)
        self._assert_usable(head, states.bfloat16(), context, targets)
        if self.half_tolerant:
            self._assert_usable(head.bfloat16(), states.bfloat16(), context, targets)

    # ---- helpers

    def _batch(
        self, factory: HeadFactory, *, hidden_size: int = 32, slots: int | None = None
    ) -> tuple[TaskHead, Tensor, HeadContext, Sequence[BaseModel]]:
        """Return a head in evaluation mode, states, a context and targets."""
        torch.manual_seed(0)
        head = factory(hidden_size).eval()
        assert head.hidden_size == hidden_size
        self._target = head.Target
        context = self.make_context(head, slots or self.slots)
        states = torch.randn(slots or self.slots, hidden_size)
        return head, states, context, self.make_targets(context)

    def _total(self, head: TaskHead, terms: LossTerms) -> Tensor:
        """Weigh and add the terms as the engine does."""
        weights = head.loss_weights
        return torch.stack([weights[name] * t / n for name, (t, n) in terms.items()]).sum()

    def _assert_usable(
        self, head: TaskHead, states: Tensor, context: HeadContext, targets: Sequence[BaseModel]
    ) -> None:
        outputs = head(states, context)
        for name, (total, _) in head.loss(outputs, targets).items():
            assert total.isfinite(), f"loss {name} is {total}"
        for result in head.decode(outputs, context):
            json.dumps(result.to_json(), allow_nan=False)

    def _assert_same(self, a: Any, b: Any, where: str) -> None:
        """Compare results field by field, numbers within the tolerances."""
        assert type(a) is type(b), where
        if isinstance(a, Tensor):
            assert a.shape == b.shape, where
            limit = self.mask_tolerance if a.dtype == torch.bool else self.tolerance
            assert (a.double() - b.double()).abs().mean() <= limit, where
        elif is_dataclass(a):
            for field in fields(a):
                self._assert_same(getattr(a, field.name), getattr(b, field.name), where)
        elif isinstance(a, Result):
            self._assert_same(a.to_json(), b.to_json(), where)
        elif isinstance(a, Mapping):
            assert list(a) == list(b), where
            for key in a:
                self._assert_same(a[key], b[key], where)
        elif isinstance(a, list | tuple):
            assert len(a) == len(b), where
            for one, other in zip(a, b, strict=True):
                self._assert_same(one, other, where)
        elif isinstance(a, float):
            assert a == pytest.approx(b, abs=self.tolerance, rel=self.tolerance), where
        else:
            assert a == b, where
