"""The samples of a stage: a fixed, seeded order over its sources, with branches chosen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from torch.utils.data import Dataset

from tpo_core.errors import InputError
from tpo_core.model import TpoModel
from tpo_core.records.dataset import RecordDataset, Sample
from tpo_core.records.mixture import mixture_indices
from tpo_core.records.quarantine import BadSample
from tpo_core.records.reader import RecordFile
from tpo_core.records.validate import CHAT
from tpo_core.training.recipe import Recipe, Source, Stage


class StageData(Dataset[Sample | BadSample | None]):
    """Sample number i of a stage, the same in any process and after any resume.

    Args:
        recipe: The whole recipe.
        stage: Number of the stage.
        model: Its heads say which target models their tasks have.
        length: How many samples; as many as the stage takes if None.

    Raises:
        InputError: A source cannot be read or has no record with the tasks asked for.
    """

    def __init__(
        self, recipe: Recipe, stage: int, model: TpoModel, *, length: int | None = None
    ) -> None:
        self.stage: Stage = recipe.stages[stage]
        self.seed = recipe.seed * 1009 + stage
        heads = model.head_by_task
        files = [
            RecordFile(
                source.path,
                targets={task: head.Target for task, head in heads.items()},
                prompts={task: head.Prompt for task, head in heads.items() if head.Prompt},
                reserved=model.vocabulary.texts,
                allow_outside=source.allow_outside,
            )
            for source in self.stage.data
        ]
        usable = [
            _usable(file, source) for file, source in zip(files, self.stage.data, strict=True)
        ]
        sizes = [len(indices) for indices in usable]
        self.records = sum(sizes)
        if not self.records:
            raise InputError(
                f"stage {self.stage.name!r} has no record with the tasks asked for; check `data`"
            )
        weights = [source.weight for source in self.stage.data]
        shares = [float(w) for w in weights if w is not None] or [float(size) for size in sizes]
        if length is None:
            length = self.stage.steps_for(self.records) * self.stage.batch
        order = [
            (number, usable[number][index])
            for number, index in mixture_indices(sizes, shares, length, self.seed)
        ]
        self.dataset = RecordDataset(
            files,
            num_frames=recipe.num_frames,
            order=order,
            choose=model.backbone.choose_frames,
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Sample | BadSample:
        sample = self.dataset[position]
        if isinstance(sample, BadSample):
            return sample
        source = self.stage.data[self.dataset.order[position][0]]
        kept = [i for i in range(len(sample.record.branches)) if _wanted(sample, i, source.tasks)]
        limit = self.stage.branches
        if limit and len(kept) > limit:
            chooser = random.Random(self.seed * 1_000_003 + position)
            kept = sorted(chooser.sample(kept, limit))
        return _with_branches(sample, kept)


def _usable(file: RecordFile, source: Source) -> list[int]:
    """Return the records of a file that have a branch of the tasks asked for.

    Lines that cannot be read count as usable: they are met, quarantined and counted in training.
    """
    if not source.tasks:
        return list(range(len(file)))
    usable = []
    for index in range(len(file)):
        try:
            record = file.read(index)
        except InputError:
            usable.append(index)
            continue
        if any(
            _tasks_wanted([t.get("task") for t in b.targets], source.tasks) for b in record.branches
        ):
            usable.append(index)
    return usable


def _wanted(sample: Sample, branch: int, tasks: Sequence[str]) -> bool:
    return _tasks_wanted([t["task"] for t in sample.record.branches[branch].targets], tasks)


def _tasks_wanted(found: Sequence[str | None], wanted: Sequence[str]) -> bool:
    if not wanted:
        return True
    return any(task in wanted for task in found) if found else CHAT in wanted


def _with_branches(sample: Sample, kept: Sequence[int]) -> Sample:
    if len(kept) == len(sample.record.branches):
        return sample
    return replace(
        sample,
        record=sample.record.model_copy(
            update={"branches": [sample.record.branches[i] for i in kept]}
        ),
        targets=tuple(sample.targets[i] for i in kept),
        prompts=tuple(sample.prompts[i] for i in kept),
    )
