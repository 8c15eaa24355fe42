"""Feed tokens to rows of one media item and catch the states of slots as they pass.

Shapes: B rows, l tokens of a row, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tpo_core.backbone import BackboneAdapter, DecodingState, TokenEmbeddings
from tpo_core.model import TpoModel

Slot = tuple[str, Tensor]
"""A task and the state `[D]` its head reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What was decoded of one answer so far.

    Args:
        ids: Token ids, task tokens included, the end of turn not.
        slots: Task and state of each slot, in order.
        log_prob: Sum of the log-probabilities of chosen tokens.
        finish: Why decoding ended; None while it goes on.
    """

    ids: tuple[int, ...] = ()
    slots: tuple[Slot, ...] = ()
    log_prob: float = 0.0
    finish: Literal["stop", "length"] | None = None

    def with_slot(self, slot: Slot | None) -> Written:
        """Return it with one more caught state."""
        return self if slot is None else replace(self, slots=(*self.slots, slot))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grammar:
    """Which tokens may be written, and what a trigger brings with it.

    Args:
        slot_of: `(task, slot id)` by trigger id.
        reads_trigger: Tasks whose head reads the state at the trigger, not at the slot.
        banned: Ids that the LLM never writes by itself.
        stops: Ids that end an answer.
        trigger_in_cache: Whether the slot sees its trigger, as it did in training. If not, the slot
            is run beside the answer and leaves no trace in it, which is upstream's order.
    """

    slot_of: Mapping[int, tuple[str, int]]
    reads_trigger: frozenset[str]
    banned: Tensor
    stops: frozenset[int]
    trigger_in_cache: bool = True

    @classmethod
    def of(cls, model: TpoModel, *, has_media: bool, trigger_in_cache: bool = True) -> Grammar:
        """Read the grammar off a model.

        Args:
            model: The model.
            has_media: Without media no head can answer, so triggers are banned too.
            trigger_in_cache: See the class.
        """
        vocabulary = model.vocabulary
        slot_ids = {task: token for token, task in vocabulary.slots.items()}
        served = model.head_by_task if has_media else {}
        slot_of = {
            trigger: (task, slot_ids[task])
            for trigger, task in vocabulary.triggers.items()
            if task in served
        }
        banned = sorted(set(vocabulary.ids.values()) - set(slot_of))
        return cls(
            slot_of=slot_of,
            reads_trigger=frozenset(t for t, head in served.items() if head.state == "trigger"),
            banned=torch.tensor(banned, dtype=torch.long, device=model.device),
            stops=frozenset(model.backbone.renderer.stop_ids),
            trigger_in_cache=trigger_in_cache,
        )

    def written(self, token: int) -> tuple[int, ...]:
        """Return a token and, if it is a trigger, the slot it forces."""
        return (token, self.slot_of[token][1]) if token in self.slot_of else (token,)

    def trigger(self, task: str) -> int:
        """Return the trigger of a task."""
        return next(token for token, (of, _) in self.slot_of.items() if of == task)


class Rows:
    """Answers being written about one media item, one row each.

    Args:
        backbone: The adapter.
        grammar: Which tokens may be written.
        state: KV cache of the media prefix, with as many rows as there are answers; grown here.
    """

    def __init__(self, backbone: BackboneAdapter, grammar: Grammar, state: DecodingState) -> None:
        self.backbone, self.grammar, self.state = backbone, grammar, state

    def read(self, prompts: Sequence[Tensor], embeddings: TokenEmbeddings | None) -> Tensor:
        """Feed each row its conversation and return the logits of the first token, `[B, V]`.

        Args:
            prompts: `[l]` token ids a row.
            embeddings: What stands in place of prompt tokens.
        """
        states = self._extend([prompt.tolist() for prompt in prompts], embeddings)
        last = [states[row, len(prompt) - 1] for row, prompt in enumerate(prompts)]
        return self._logits(torch.stack(last))

    def write(self, tokens: Sequence[int | None]) -> tuple[Tensor, list[Slot | None]]:
        """Feed each row the token chosen for it, a trigger together with its slot.

        Args:
            tokens: One a row; None leaves a row as it is.

        Returns:
            The logits of each row's next token, `[B, V]` (meaningless for None), and the state that
            was caught for each row.
        """
        grammar = self.grammar
        caught: list[Slot | None] = [None] * len(tokens)
        triggered = [row for row, token in enumerate(tokens) if token in grammar.slot_of]
        if triggered and not grammar.trigger_in_cache:
            self._catch_beside(tokens, triggered, caught)
        fed = [self._fed(token) for token in tokens]
        states = self._extend(fed)
        for row in triggered:
            token = tokens[row]
            assert token is not None
            task = grammar.slot_of[token][0]
            if task in grammar.reads_trigger:
                caught[row] = task, states[row, 0].clone()
            elif grammar.trigger_in_cache:
                caught[row] = task, states[row, 1].clone()
        last = [states[row, max(len(ids) - 1, 0)] for row, ids in enumerate(fed)]
        return self._logits(torch.stack(last)), caught

    def select(self, rows: Sequence[int]) -> None:
        """Keep or repeat rows: row b becomes what row `rows[b]` was."""
        if list(rows) != list(range(self.state.rows)):
            index = torch.tensor(rows, dtype=torch.long)
            self.state = self.backbone.reorder(self.state, index)

    def _fed(self, token: int | None) -> tuple[int, ...]:
        if token is None:
            return ()
        return self.grammar.written(token) if self.grammar.trigger_in_cache else (token,)

    def _catch_beside(
        self, tokens: Sequence[int | None], rows: Sequence[int], caught: list[Slot | None]
    ) -> None:
        """Run slots on a copy of the cache that has not seen their triggers."""
        pairs = [self.grammar.slot_of[token] for row in rows if (token := tokens[row]) is not None]
        beside = Rows(
            self.backbone,
            self.grammar,
            self.backbone.reorder(self.state, torch.tensor(rows, dtype=torch.long)),
        )
        states = beside._extend([(slot,) for _, slot in pairs])
        for number, (row, (task, _)) in enumerate(zip(rows, pairs, strict=True)):
            caught[row] = task, states[number, 0].clone()

    def _extend(
        self, rows: Sequence[Sequence[int]], embeddings: TokenEmbeddings | None = None
    ) -> Tensor:
        lengths = torch.tensor([len(ids) for ids in rows], dtype=torch.long)
        ids = torch.zeros(len(rows), max(int(lengths.max()), 1), dtype=torch.long)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        return self.backbone.extend(self.state, ids, lengths, embeddings)

    def _logits(self, states: Tensor) -> Tensor:
        """Return float logits `[B, V]`, banned tokens at minus infinity."""
        logits = self.backbone.logits(states).float()
        return logits.index_fill(-1, self.grammar.banned.to(logits.device), float("-inf"))
