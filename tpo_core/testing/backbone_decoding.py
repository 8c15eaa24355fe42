"""Tests of decoding on a KV cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from tpo_core.backbone import BackboneAdapter, RenderedRecord
from tpo_core.testing.backbone_case import BackboneCase
from tpo_core.testing.backbone_samples import (
    TASK_TOKENS,
    MediaName,
    alone,
    noisy,
    replacing,
)


class DecodingTests(BackboneCase):
    """States captured while decoding against those of a whole pass."""

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_decoding_equals_teacher_forcing(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: str
    ) -> None:
        """States captured while decoding rows of unlike length equal those of a whole pass."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        record = records[name]
        expected = [
            self.separate(ready, record, number, name)[len(record.prefix_ids) :]
            for number in range(2)
        ]
        start = ready.prefill(record, ready.encode([record])[0])
        ids = [branch.ids for branch in record.branches[:2]]
        for _ in range(2):  # the prefix's state may be branched again
            state = ready.branch(start, 2)
            assert (start.rows, state.rows) == (1, 2)
            at = [0, 0]
            for lengths in ((3, 5), (1, 0), (0, 1), (1, 1)):
                self._step(ready, state, ids, at, lengths, expected)
            swapped = ready.reorder(state, torch.tensor([1, 0, 1]))
            assert swapped.rows == 3
            for row, source in enumerate((1, 0, 1)):
                feed = torch.zeros(3, 1, dtype=torch.long)
                feed[row, 0] = ids[source][at[source]]
                one = torch.zeros(3, dtype=torch.long)
                one[row] = 1
                states = ready.extend(swapped, feed, one)
                self._same(states[row], expected[source][at[source]][None], f"row {row}")
            # The state that was reordered goes on as if nothing had happened.
            self._step(ready, state, ids, at, (1, 1), expected)

    def test_decoding_with_prompt_embeddings(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Prompt rows replaced while decoding act as in a whole pass."""
        record = records[self.media[0]]
        token = ready.add_tokens(TASK_TOKENS)[-1]
        own = ready.model.get_input_embeddings()(torch.tensor([token])).detach()  # type: ignore[operator]
        given = replacing(token, noisy(own))
        visual = ready.encode([record])
        with torch.no_grad():
            expected = ready(alone(record, 1), visual, given)
        state = ready.branch(ready.prefill(record, visual[0]), 2)
        ids = torch.zeros(2, len(record.branches[1].ids), dtype=torch.long)
        ids[1] = record.branches[1].ids
        ids[0, :2] = record.branches[0].ids[:2]
        states = ready.extend(state, ids, torch.tensor([2, ids.shape[1]]), given)
        self._same(states[1], expected[len(record.prefix_ids) :], "branch with a prompt")

    def _step(
        self,
        backbone: BackboneAdapter,
        state: Any,
        ids: Sequence[Tensor],
        at: list[int],
        lengths: tuple[int, int],
        expected: Sequence[Tensor],
    ) -> None:
        """Feed each row its next tokens and compare the states that come back."""
        feed = torch.zeros(2, max(lengths), dtype=torch.long)
        for row, length in enumerate(lengths):
            feed[row, :length] = ids[row][at[row] : at[row] + length]
        states = backbone.extend(state, feed, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            wanted = expected[row][at[row] : at[row] + length]
            self._same(states[row, :length], wanted, f"row {row} at {at[row]}")
            at[row] += length
