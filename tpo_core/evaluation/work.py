"""Which media a process answers questions about, and what all of them found in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

from tpo_core.errors import InputError, PluginError
from tpo_core.evaluation.benchmark import Benchmark, Case
from tpo_core.evaluation.processes import Processes
from tpo_core.evaluation.result import Prediction
from tpo_core.evaluation.tally import ALL, Tally, nothing_usable
from tpo_core.records.quarantine import BadSample


class Work:
    """What one process does of an evaluation.

    Args:
        benchmark: Gives the media and their questions.
        folder: The folder of its files.
        limit: How many media to look at; all if None.
        answered: Questions that need not be asked again.
        processes: Those that share the media.

    Attributes:
        plan: What was listed so far, in order: the questions of a media item, or a bad record.
        predictions: What this process answered, by question.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        folder: Path,
        *,
        limit: int | None,
        answered: Collection[str],
        processes: Processes,
    ) -> None:
        self.benchmark, self.folder, self.limit = benchmark, folder, limit
        self.answered, self.processes = answered, processes
        self.plan: list[BadSample | tuple[str, ...]] = []
        self.predictions: dict[str, Prediction] = {}
        self._listed: set[str] = set()

    @property
    def size(self) -> int:
        """How many media and bad records there are to list."""
        whole = self.benchmark.size(self.folder)
        return whole if self.limit is None else min(whole, self.limit)

    def share(self, batch_size: int) -> Iterator[list[Case]]:
        """Yield this process's share of the media that are not done, some at a time.

        Every process lists all media, and those that are not done go round.

        Raises:
            PluginError: If two questions have one id, or a kind has the name of all kinds.
        """
        batch: list[Case] = []
        turns = cycle(range(self.processes.size))
        for sample in islice(self.benchmark.cases(self.folder), self.limit):
            if isinstance(sample, BadSample):
                self.plan.append(sample)
                continue
            names = self._names(sample)
            self.plan.append(names)
            is_done = all(name in self.answered for name in names)
            if not is_done and next(turns) == self.processes.rank:
                batch.append(sample)
            if len(batch) == batch_size:
                yield batch
                batch = []
        yield batch

    def keep(self, predictions: Sequence[Prediction]) -> None:
        """Keep the predictions of a case."""
        self.predictions.update((one.id, one) for one in predictions)

    def tally(self, found: Mapping[str, Prediction]) -> Tally:
        """Count what all processes found, earlier ones too, in the order of the media.

        Args:
            found: By question.

        Raises:
            InputError: If there is no question, or an answer to one that there is not.
        """
        if strange := sorted(found.keys() - self._listed):
            raise InputError(
                f"{len(strange)} questions that were answered before, the first {strange[0]!r}, "
                f"are not in {self.folder}; its data changed since: evaluate anew with overwrite "
                "(--overwrite)"
            )
        tally = Tally(self.benchmark)
        for entry in self.plan:
            if isinstance(entry, BadSample):
                tally.quarantine(entry)
            else:
                tally.add(found[name] for name in entry)
        if not tally.predictions:
            raise InputError(nothing_usable(self.folder, tally.quarantined))
        return tally

    def _names(self, case: Case) -> tuple[str, ...]:
        for item in case.items:
            if item.id in self._listed:
                raise PluginError(
                    f"benchmark {self.benchmark.name} has two questions with the id {item.id!r}; "
                    "give each its own"
                )
            if item.kind == ALL:
                raise PluginError(
                    f"benchmark {self.benchmark.name} has a kind {ALL!r}, which stands for all "
                    "kinds; rename it"
                )
            self._listed.add(item.id)
        return tuple(item.id for item in case.items)
