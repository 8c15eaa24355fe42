"""What benchmarks of multiple-choice questions share: questions by media, answers in words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tpo_core.errors import RecordError
from tpo_core.evaluation.benchmark import Case, Item, Score
from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.predictions import Expected
from tpo_core.records.quarantine import BadSample
from tpo_plugins.benchmarks.paper import PaperBenchmark, greedy, grouped
from tpo_plugins.benchmarks.shown import Shown
from tpo_plugins.datasets.files import MediaFiles, data_folder
from tpo_plugins.datasets.rows import Row

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

LEFT_OUT: Final = "left out of the denominator"
WRONG: Final = "wrong"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChoiceItem(Item):
    """A multiple-choice question; its truth is what the benchmark's rule compares with.

    Args:
        shown: What is looked at; questions that show the same are asked together.
        figures: The metrics and parts of them that the answer counts for.
    """

    shown: Shown
    figures: tuple[str, ...]


class ChoiceBenchmark(PaperBenchmark):
    """Asks for an option, and reads the choice from the words of the answer.

    A file of predictions holds the `id` of a question and `text`, what the model answered.

    Attributes:
        strict: Whether an answer in which no choice is found is wrong, where the official rule
            leaves it out of the denominator or takes it for right.
        found: What the details call the share of answers in which a choice is found; empty where
            the rule finds one in any.
    """

    decoding = greedy(32)
    strict: bool = False
    found: ClassVar[str] = ""

    @abstractmethod
    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the annotation files.

        Args:
            data: The folder that holds them.

        Raises:
            InputError: If it does not.
            MissingDependency: If a package that reads them is absent.
        """

    @abstractmethod
    def question(self, row: Row, files: MediaFiles) -> ChoiceItem | None:
        """Return the question of a row; None if it is not asked here.

        Args:
            row: The row.
            files: Finds videos below the data folder.

        Raises:
            RecordError: If the row is malformed.
        """

    @abstractmethod
    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Tell whether an answer is right; None if no choice is found in it.

        Args:
            item: The question.
            text: What the model answered, without the prefix.
        """

    def size(self, data: Path) -> int:
        """Return the number of media and of bad rows."""
        return sum(1 for _ in self._grouped(MediaFiles(data_folder(data))))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield bad rows, then all media with their questions, as they first appear."""
        files = MediaFiles(data_folder(data))
        for found in self._grouped(files):
            if isinstance(found, BadSample):
                yield found
            else:
                yield self.case(found, files)

    def case(self, items: Sequence[ChoiceItem], files: MediaFiles) -> Case:
        """Return a case of the questions about one media item."""
        shown = items[0].shown
        return Case(media=shown.name, load=shown, items=tuple(items))

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any]:
        """Return the words of the answer."""
        return {"text": answer.text}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Compare the choice with the right one; a missing prediction is wrong."""
        assert isinstance(item, ChoiceItem)
        text = "" if predicted is None else predicted["text"]
        verdict = False if predicted is None else self.verdict(item, text)
        counted = () if verdict is None and not self.strict else (float(verdict is True),)
        values = dict.fromkeys(item.figures, counted)
        if self.found:
            values[self.found] = (float(predicted is not None and verdict is not None),)
        return Score(
            values=values,
            missing=int(verdict is None or not text.strip()),
            truth=item.truth,
        )

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be."""
        return Expected(fields={"text": "text"})

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return super()._pinned(missing_prediction=0.0, **more)

    def _grouped(self, files: MediaFiles) -> Iterator[list[ChoiceItem] | BadSample]:
        """Yield bad rows, then the questions about each media item."""

        def questions(row: Row) -> Iterator[ChoiceItem]:
            if (item := self.question(row, files)) is not None:
                yield item

        return grouped(self.rows(files.root), questions=questions, media=lambda item: item.shown)


def lettered(options: Collection[str]) -> str:
    """Return options as lines such as `A. left`."""
    return "\n".join(f"{chr(ord('A') + place)}. {text}" for place, text in enumerate(options))
