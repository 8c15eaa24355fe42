"""Multiple choice in one JSON file a task, as MVBench has it and MLVU after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_core.evaluation.metrics.choices import gold_option, options_prompt
from tpo_plugins.benchmarks.choices import ChoiceBenchmark, ChoiceItem
from tpo_plugins.benchmarks.paper import greedy
from tpo_plugins.benchmarks.shown import Shown
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.files import find_file
from tpo_plugins.datasets.rows import Released, Row, Rows

PREFIX: Final = "Best option:("


class TaskRow(Released):
    """A question as released; the answer is the text of an option."""

    video: str = Field(min_length=1)
    question: str
    candidates: tuple[str, ...] = Field(min_length=2)
    answer: str


class TaskFilesBenchmark(ChoiceBenchmark):
    """Asks for the best option, and begins the answer with `PREFIX`.

    Attributes:
        tasks: Names of the files, without suffix, in the official order.
        prompt: With `{question}`, which stands for question and options.
    """

    decoding = greedy(100)
    tasks: ClassVar[Collection[str]]
    prompt: ClassVar[str]

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of every task's file, in the official order of tasks."""
        files = [find_file(data, f"json/{task}.json", f"{task}.json") for task in self.tasks]
        for path in files:
            yield from Rows(path)

    def _item(self, row: Row, released: TaskRow, *, kind: str, shown: Shown) -> ChoiceItem:
        """Return the question of a row.

        Raises:
            RecordError: If no option is the answer.
        """
        with at_row(row, field="answer"):
            gold = gold_option(released.candidates, released.answer)
        return ChoiceItem(
            id=f"{row.path.stem}/{row.number - 1}",
            kind=kind,
            text=self.prompt.format(
                question=options_prompt(released.question, released.candidates)
            ),
            prefix=PREFIX,
            truth=gold,
            shown=shown,
            figures=self.metrics,
        )
