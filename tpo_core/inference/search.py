"""Write answers token by token: each row by itself, or by beam search.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tpo_core.inference.decode import Rows, Slot, Written
from tpo_core.inference.sampling import Choose


def write_rows(
    rows: Rows,
    logits: Tensor,
    *,
    choose: Choose,
    forced: Sequence[int | None],
    max_new_tokens: int,
) -> list[Written]:
    """Write one answer a row, greedily or by sampling.

    Args:
        rows: Rows that have read their conversations.
        logits: `[B, V]` of each row's first token.
        choose: Chooses a token.
        forced: First token of each row, or None.
        max_new_tokens: Length of an answer; a slot may come on top of it.
    """
    answers = [Written() for _ in forced]
    live = list(range(len(answers)))  # the answers that still have a row, in row order
    given: dict[int, int] = {n: token for n, token in enumerate(forced) if token is not None}
    while True:
        picked = choose(live, logits)
        log_probs = logits.log_softmax(-1).gather(-1, picked[:, None])[:, 0].tolist()
        tokens: list[int | None] = []
        for number, token, log_prob in zip(live, picked.tolist(), log_probs, strict=True):
            if answers[number].finish is not None:
                tokens.append(None)
                continue
            if number in given:
                token, log_prob = given.pop(number), 0.0
            answers[number], fed = _next(rows, answers[number], token, log_prob, max_new_tokens)
            tokens.append(fed)
        if all(token is None for token in tokens):
            return answers
        logits, caught = rows.write(tokens)
        for number, slot in zip(live, caught, strict=True):
            answers[number] = answers[number].with_slot(slot)
        kept = [row for row, number in enumerate(live) if answers[number].finish is None]
        if not kept:
            return answers
        if 2 * len(kept) <= len(live):  # copying the cache pays once half of its rows are done
            rows.select(kept)
            live, logits = [live[row] for row in kept], logits[kept]


def _next(
    rows: Rows, answer: Written, token: int, log_prob: float, max_new_tokens: int
) -> tuple[Written, int | None]:
    """Add a token to an answer; return the answer and what must be fed of it."""
    total = answer.log_prob + log_prob
    if token in rows.grammar.stops:
        return replace(answer, log_prob=total, finish="stop"), None
    written = rows.grammar.written(token)
    ids = (*answer.ids, *written)
    is_full = len(ids) >= max_new_tokens
    longer = replace(answer, ids=ids, log_prob=total, finish="length" if is_full else None)
    # The last token needs no pass of its own, unless the state of its slot is wanted.
    return longer, None if is_full and len(written) == 1 else token


@dataclass(slots=True)
class _Beams:
    """The hypotheses about one question; the finished ones by score, best first."""

    live: list[Written] = field(default_factory=lambda: [Written()])
    done: list[tuple[float, Written]] = field(default_factory=list)

    def add(self, written: Written, num_beams: int) -> None:
        """Add a hypothesis; a finished one is scored by its mean log-probability."""
        if written.finish is None:
            self.live.append(written)
            return
        # The end of turn is not among the ids, but was chosen, and counts.
        length = len(written.ids) + (written.finish == "stop")
        self.done.append((written.log_prob / length, written))
        self.done.sort(key=lambda scored: -scored[0])
        del self.done[num_beams:]

    def settle(self, num_beams: int) -> None:
        """Drop the live hypotheses if none is better than the worst finished one, as it stands."""
        scores = [written.log_prob / len(written.ids) for written in self.live]
        if scores and len(self.done) == num_beams and max(scores) <= self.done[-1][0]:
            self.live.clear()


@dataclass(slots=True)
class _Candidate:
    """A hypothesis to go on with, the row it continues, and the token to feed for it."""

    row: int
    beam: _Beams
    written: Written
    fed: int | None


def write_beams(
    rows: Rows,
    logits: Tensor,
    *,
    num_beams: int,
    forced: Sequence[int | None],
    max_new_tokens: int,
) -> list[Written]:
    """Write the best answer of each row by beam search, scores normalised by length.

    Finished and stopped by the rules of transformers' `generate` (`length_penalty=1`,
    `early_stopping=False`), which this equals where no task token is written; a trigger and its
    forced slot count as two tokens, the slot at probability 1.

    Args:
        rows: Rows that have read their conversations; grown to `num_beams` a question.
        logits: `[B, V]` of each row's first token.
        num_beams: Hypotheses kept a question.
        forced: First token of each row, or None.
        max_new_tokens: Length of an answer; a slot may come on top of it.
    """
    beams = [_Beams() for _ in forced]
    given: dict[int, int] = {n: token for n, token in enumerate(forced) if token is not None}
    while True:
        log_probs = logits.log_softmax(-1)
        following: list[_Candidate] = []
        row = 0
        for number, beam in enumerate(beams):
            own = slice(row, row + len(beam.live))
            row = own.stop
            if number in given:
                options = [(0.0, 0, given.pop(number))]
            else:
                options = _best(beam.live, log_probs[own], num_beams, len(rows.grammar.stops))
            following += _advance(rows, beam, options, own.start, num_beams, max_new_tokens)
        caught: list[Slot | None] = [None] * len(following)
        if any(candidate.fed is not None for candidate in following):
            rows.select([candidate.row for candidate in following])
            logits, caught = rows.write([candidate.fed for candidate in following])
        for beam in beams:
            beam.live.clear()
        for candidate, slot in zip(following, caught, strict=True):
            candidate.written = candidate.written.with_slot(slot)
            candidate.beam.add(candidate.written, num_beams)
        for beam in beams:
            beam.settle(num_beams)
        kept = [
            place
            for place, candidate in enumerate(following)
            if candidate.written.finish is None and candidate.beam.live
        ]
        if not kept:
            return [beam.done[0][1] for beam in beams]
        rows.select(kept)
        logits = logits[kept]


def _best(
    live: Sequence[Written], log_probs: Tensor, num_beams: int, stops: int
) -> list[tuple[float, int, int]]:
    """Return `(score, hypothesis, token)` of the best continuations, more than can all end."""
    if not live:
        return []
    before = torch.tensor([[written.log_prob] for written in live], dtype=torch.float32)
    scores = log_probs + before.to(log_probs.device)
    wanted = min(max(2, 1 + stops) * num_beams, scores.numel())
    best, places = scores.flatten().topk(wanted)
    vocabulary = scores.shape[1]
    return [
        (score, place // vocabulary, place % vocabulary)
        for score, place in zip(best.tolist(), places.tolist(), strict=True)
        if score > float("-inf")
    ]


def _advance(
    rows: Rows,
    beam: _Beams,
    options: Sequence[tuple[float, int, int]],
    start: int,
    num_beams: int,
    max_new_tokens: int,
) -> list[_Candidate]:
    """Return the next hypotheses; those that end their turn are done at once."""
    following: list[_Candidate] = []
    for rank, (score, parent, token) in enumerate(options):
        if len(following) == num_beams:
            break
        before = beam.live[parent]
        after, fed = _next(rows, before, token, score - before.log_prob, max_new_tokens)
        if after.finish != "stop":
            following.append(_Candidate(start + parent, beam, after, fed))
        elif rank < num_beams:
            beam.add(after, num_beams)
    return following
