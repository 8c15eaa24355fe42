"""From samples to one packed batch: what the model's forward pass reads.

Shapes: L tokens of the packed row, S supervised tokens, N slots of one task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tpo_core.backbone import PackedTokens, RenderedRecord, Renderer
from tpo_core.errors import InputError
from tpo_core.media.types import Media
from tpo_core.records.dataset import Sample
from tpo_core.records.quarantine import BadSample
from tpo_core.records.schema import Message
from tpo_core.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tpo_core.head import TaskHead

LM_TERM = "lm"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SlotBatch:
    """The N slots of one task in a packed row.

    Args:
        positions: `[N]` long, where the slot tokens stand.
        record: `[N]` long, number of the record in the row.
        targets: The label of each slot; empty while predicting.
        prompts: The prompts given in the slot's branch.
        questions: The last user turn before the slot.
    """

    positions: Tensor
    record: Tensor
    targets: tuple[Any, ...] = ()
    prompts: tuple[tuple[Any, ...], ...] = ()
    questions: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> SlotBatch:
        """Move the index tensors."""
        return replace(self, positions=self.positions.to(device), record=self.record.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Packed records, labels, slots and prompts; what was left out and why.

    Args:
        packed: The records in one row.
        label_positions: `[S]` long; the state there predicts the label.
        label_ids: `[S]` long.
        slots: By task; tasks without a slot are absent.
        prompts: `(task, prompt)` of every prompt token, in row order.
        prompt_ids: `[number of prompts]` long, their token ids.
        counts: Items of every loss term, known before the forward pass.
        skipped: Per task, reasons for which targets were left out.
        bad: Samples that could not be read.
        clipped: How many labels of the samples were clipped to their media.
    """

    packed: PackedTokens
    label_positions: Tensor
    label_ids: Tensor
    slots: Mapping[str, SlotBatch] = field(default_factory=dict)
    prompts: tuple[tuple[str, Any], ...] = ()
    prompt_ids: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    counts: Mapping[str, float] = field(default_factory=dict)
    skipped: Mapping[str, Counter[str]] = field(default_factory=dict)
    bad: tuple[BadSample, ...] = ()
    clipped: int = 0

    @property
    def media(self) -> tuple[Media | None, ...]:
        """The media item of each record."""
        return tuple(record.media for record in self.packed.records)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Move everything the backbone reads; frames for heads stay where they are."""
        return replace(
            self,
            packed=move_packed(self.packed, device),
            label_positions=self.label_positions.to(device, non_blocking=non_blocking),
            label_ids=self.label_ids.to(device, non_blocking=non_blocking),
            prompt_ids=self.prompt_ids.to(device, non_blocking=non_blocking),
            slots={task: slots.to(device) for task, slots in self.slots.items()},
        )


def move_packed(packed: PackedTokens, device: torch.device | str) -> PackedTokens:
    """Move a packed row to a device."""
    return PackedTokens(
        ids=packed.ids.to(device), records=tuple(move_record(r, device) for r in packed.records)
    )


def move_record(record: RenderedRecord, device: torch.device | str) -> RenderedRecord:
    """Move a rendered record to a device."""

    def move(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in values.items()
        }

    return replace(
        record,
        prefix_ids=record.prefix_ids.to(device),
        branches=tuple(
            replace(b, ids=b.ids.to(device), supervised=b.supervised.to(device))
            for b in record.branches
        ),
        inputs=move(record.inputs),
        extras=move(record.extras),
    )


def pack(records: Sequence[RenderedRecord]) -> PackedTokens:
    """Lay records end to end in one row."""
    parts = [ids for r in records for ids in (r.prefix_ids, *(b.ids for b in r.branches))]
    ids = torch.cat(parts) if parts else torch.empty(0, dtype=torch.long)
    return PackedTokens(ids=ids, records=tuple(records))


@dataclass(frozen=True, slots=True)
class Collator:
    """Render and pack samples for training.

    Args:
        renderer: The backbone's.
        vocabulary: The model's task tokens.
        heads: The model's heads by task, asked which targets they can use.
        silent: Tasks whose slots stay in the text but are not fed to their heads.
    """

    renderer: Renderer
    vocabulary: Vocabulary
    heads: Mapping[str, TaskHead]
    silent: frozenset[str] = frozenset()

    def __call__(self, samples: Sequence[Sample | BadSample]) -> Batch:
        """Pack the good samples; unreadable ones and unusable targets are counted, never hidden."""
        bad = [sample for sample in samples if isinstance(sample, BadSample)]
        skipped: dict[str, Counter[str]] = {}
        prepared = []
        for sample in samples:
            if isinstance(sample, BadSample):
                continue
            kept = [
                i for i in range(len(sample.record.branches)) if self._known(sample, i, skipped)
            ]
            if not kept:
                continue
            try:
                prepared.append((sample, kept, self._render(sample, kept)))
            except InputError as error:
                bad.append(BadSample(path=sample.path, line=sample.line, reason=str(error)))
        return self._pack(prepared, skipped, tuple(bad))

    def _known(self, sample: Sample, branch: int, skipped: dict[str, Counter[str]]) -> bool:
        """Tell whether every task and prompt of a branch has a head; count those that have not."""
        asked = [task_of(target) for target in sample.targets[branch]]
        missing = [task for task in asked if task not in self.heads]
        for task in missing:
            skipped.setdefault(task, Counter())["no head attached"] += 1
        prompted = {task_of(prompt) for prompt in sample.prompts[branch]}
        unprompted = prompted - set(self.vocabulary.prompts.values())
        for task in unprompted:
            skipped.setdefault(task, Counter())["no head embeds this prompt"] += 1
        return not missing and not unprompted

    def _render(self, sample: Sample, kept: Sequence[int]) -> RenderedRecord:
        conversations = [
            [
                Message(role=m.role, content=self.vocabulary.to_llm(m.role, m.content))
                for m in sample.record.branches[branch].messages
            ]
            for branch in kept
        ]
        record = self.renderer.render(sample.media, conversations)
        for branch, rendered in zip(kept, record.branches, strict=True):
            self._check_marks(sample, branch, rendered.ids.tolist())
        running = [head for task, head in self.heads.items() if task not in self.silent]
        needs = {need for head in running for need in head.needs}
        if record.media is not None and "frames" not in needs:
            record = replace(record, media=record.media.without_frames())
        return record

    def _check_marks(self, sample: Sample, branch: int, ids: list[int]) -> None:
        """Refuse a branch whose slots and prompts in the rendered text differ from its labels."""
        slot_tasks, prompt_tasks = self.vocabulary.slots, self.vocabulary.prompts
        pairs = (
            ("slots", slot_tasks, sample.targets[branch], "targets"),
            ("prompt tokens", prompt_tasks, sample.prompts[branch], "prompts"),
        )
        for what, tasks, labels, name in pairs:
            rendered = [tasks[token] for token in ids if token in tasks]
            expected = [task_of(label) for label in labels]
            if rendered != expected:
                raise InputError(
                    f"record {sample.record.id!r}, branch {branch}: {what} {rendered} after "
                    f"rendering but {name} {expected}; check the markers in its text"
                )

    def _pack(
        self,
        prepared: list[tuple[Sample, list[int], RenderedRecord]],
        skipped: dict[str, Counter[str]],
        bad: tuple[BadSample, ...],
    ) -> Batch:
        packed = pack([rendered for _, _, rendered in prepared])
        slot_tasks, prompt_tasks = self.vocabulary.slots, self.vocabulary.prompts
        special = torch.tensor([*slot_tasks, *prompt_tasks], dtype=torch.long)
        label_positions, label_ids, prompts, prompt_ids = [], [], [], []
        found: dict[str, list[tuple[int, int, Any, tuple[Any, ...], str]]] = {}
        spans = packed.spans()
        for number, (sample, kept, rendered) in enumerate(prepared):
            for branch, rendered_branch, span in zip(
                kept, rendered.branches, spans[number][1], strict=True
            ):
                ids, labelled = rendered_branch.ids, rendered_branch.supervised.clone()
                marked = torch.isin(ids, special).nonzero()[:, 0].tolist()
                slots = [p for p in marked if int(ids[p]) in slot_tasks]
                asked = [p for p in marked if int(ids[p]) in prompt_tasks]
                targets, given = sample.targets[branch], sample.prompts[branch]
                question = _last_user_turn(sample, branch)
                for at, target in zip(slots, targets, strict=True):
                    task = slot_tasks[int(ids[at])]
                    labelled[at] = False
                    if task in self.silent:
                        continue
                    if reason := self.heads[task].skip_reason(target, sample.media):
                        skipped.setdefault(task, Counter())[reason] += 1
                        continue
                    entry = (span.start + at, number, target, tuple(given), question)
                    found.setdefault(task, []).append(entry)
                prompts += [(task_of(prompt), prompt) for prompt in given]
                prompt_ids += [int(ids[p]) for p in asked]
                labelled[0] = False
                at_labels = labelled.nonzero()[:, 0]
                label_positions.append(span.start + at_labels - 1)
                label_ids.append(ids[at_labels])
        slot_batches = {
            task: SlotBatch(
                positions=torch.tensor([entry[0] for entry in entries]),
                record=torch.tensor([entry[1] for entry in entries]),
                targets=tuple(entry[2] for entry in entries),
                prompts=tuple(entry[3] for entry in entries),
                questions=tuple(entry[4] for entry in entries),
            )
            for task, entries in sorted(found.items())
        }
        empty = torch.empty(0, dtype=torch.long)
        ids = torch.cat([empty, *label_ids])
        counts = {LM_TERM: float(len(ids))}
        for task, slot_batch in slot_batches.items():
            for term, count in self.heads[task].counts(slot_batch.targets).items():
                counts[f"{task}/{term}"] = count
        return Batch(
            packed=packed,
            label_positions=torch.cat([empty, *label_positions]),
            label_ids=ids,
            slots=slot_batches,
            prompts=tuple(prompts),
            prompt_ids=torch.tensor(prompt_ids, dtype=torch.long),
            counts=counts,
            skipped=skipped,
            bad=bad,
            clipped=sum(sample.clipped for sample, _, _ in prepared),
        )


def task_of(item: Any) -> str:
    """Return the task of a target or prompt; every such model has the field."""
    return str(item.task)


def _last_user_turn(sample: Sample, branch: int) -> str:
    turns = [m.content for m in sample.record.branches[branch].messages if m.role == "user"]
    return turns[-1] if turns else ""
