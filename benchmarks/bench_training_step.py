"""One training step on eight questions about one video: packed tree against padded sequences.

The baseline is what head-carrying peers do: a padded sequence a question, the vision tower run for
each, all hidden states kept, logits of every position. Losses are checked equal before timing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from common import WORDS, mid_size, paired, report, video

from tpo_core.backbone import PackedTokens
from tpo_core.batch import pack
from tpo_core.lora import LoraSettings, add_adapter
from tpo_core.records.schema import Message

QUESTIONS = 8


def main() -> None:
    """Print one JSON line."""
    adapter = mid_size()
    add_adapter(adapter, [], LoraSettings())
    rng = torch.Generator().manual_seed(1)

    def words(count: int) -> str:
        picked = torch.randint(0, len(WORDS), (count,), generator=rng)
        return " ".join(WORDS[i] for i in picked.tolist())

    conversations = [
        [Message(role="user", content=words(24)), Message(role="assistant", content=words(16))]
        for _ in range(QUESTIONS)
    ]
    record = adapter.renderer.render(video(), conversations)
    packed: PackedTokens = pack([record])
    labels = []
    for span, branch in zip(packed.spans()[0][1], record.branches, strict=True):
        at = branch.supervised.nonzero()[:, 0]
        labels.append((span.start + at - 1, branch.ids[at]))
    positions, ids = (torch.cat(part) for part in zip(*labels, strict=True))

    def ours() -> float:
        adapter.model.zero_grad()
        states = adapter(packed, adapter.encode([record]))
        loss = F.cross_entropy(adapter.logits(states[positions]), ids)
        loss.backward()
        return float(loss.detach())

    rows = [torch.cat([record.prefix_ids, b.ids]) for b in record.branches]
    length = max(map(len, rows))
    padded = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(padded)
    target = torch.full_like(padded, -100)
    for i, (row, branch) in enumerate(zip(rows, record.branches, strict=True)):
        padded[i, : len(row)] = row
        mask[i, : len(row)] = 1
        chosen = torch.full_like(branch.ids, -100)
        chosen[branch.supervised] = branch.ids[branch.supervised]
        target[i, len(record.prefix_ids) : len(row)] = chosen
    pixels = {k: v.repeat(len(rows), *[1] * (v.dim() - 1)) for k, v in record.inputs.items()}

    def theirs() -> float:
        adapter.model.zero_grad()
        out = adapter.model(
            input_ids=padded, attention_mask=mask, output_hidden_states=True, use_cache=False,
            **pixels,
        )  # fmt: skip
        loss = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())
        loss.backward()
        return float(loss.detach())

    one, two = ours(), theirs()
    assert abs(one - two) < 1e-5, f"losses differ: {one} and {two}"
    report(
        "training step, 8 questions on one video, LoRA",
        *paired(ours, theirs),
        strategy=adapter.strategy,
        tokens=len(packed.ids),
        baseline_tokens=padded.numel(),
        loss_difference=abs(one - two),
    )


if __name__ == "__main__":
    main()
