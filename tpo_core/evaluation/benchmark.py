"""The interface of benchmarks: which questions to ask, how an answer scores, what is pinned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core.errors import InputError

if TYPE_CHECKING:
    from tpo_core.evaluation.predictions import Expected
    from tpo_core.evaluation.result import Prediction
    from tpo_core.inference import Answer
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media
    from tpo_core.records.quarantine import BadSample
    from tpo_core.records.schema import RegionPrompt


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Item:
    """One question of a benchmark.

    Args:
        id: Unique in the benchmark.
        kind: What is asked, such as `temporal/appear` or a split; details are given for each kind.
        text: The user's turn, with `<region>` where a box is meant.
        boxes: The boxes that the text's `<region>` marks mean, in order.
        prefix: How the answer begins; the model goes on from there, and the answer that is read
            holds only what it adds.
        tasks: Tasks whose results a right answer holds; a model without a head for one of them is
            not asked.
        truth: Whatever the benchmark needs to score the answer; None where labels are not public.
    """

    id: str
    kind: str
    text: str
    boxes: tuple[RegionPrompt, ...] = ()
    prefix: str = ""
    tasks: tuple[str, ...] = ()
    truth: Any = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """One media item and the questions about it; they share its encoded prefix.

    Args:
        media: Names it, as a path if it is a file.
        load: Decodes it when its turn comes, with the frames that the function given chooses; not
            called when a finished file of predictions is scored. Raises a TpoError or OSError if
            the media cannot be read: its questions then count as failed.
        items: The questions, in order.
    """

    media: str
    load: Callable[[FrameChooser], Media]
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one answer is worth.

    Args:
        values: For each metric or part of one, a value for each thing that was to be predicted, in
            [0, 1]. What was not predicted has its value too, 0, unless the official rule leaves it
            out of the denominator: then the tuple is empty.
        missing: How many things that were to be predicted are not in the answer.
        curves: The heights of the benchmark's curves for this answer.
        truth: The label as plain JSON values.
    """

    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    missing: int = 0
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    truth: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """What a curve of a benchmark shows.

    Its heights are the mean over questions that have one in their score or, with `above`, shares of
    a metric's values over all questions.

    Args:
        x: Where it is sampled, ascending.
        x_label: What x is, with its unit.
        y_label: What the heights are.
        above: Of which metric, or part of one, the heights are the share of values greater than x;
            empty if scores give them.
    """

    x: tuple[float, ...]
    x_label: str
    y_label: str
    above: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What others published for a benchmark, shown beside a model's own figures.

    Args:
        model: As its publication names it.
        metrics: Its figures by the benchmark's names, in [0, 1]; those it gives.
        source: Where they stand, such as `arXiv 2412.19326, table 3`.
        note: How they were measured, where that differs from the benchmark's protocol.
    """

    model: str
    metrics: Mapping[str, float]
    source: str
    note: str = ""


class Benchmark(ABC):
    """A benchmark: a `BenchmarkSpec`'s target is a subclass, called without arguments.

    A figure is the mean over all values of its metric or, for a metric in `macro`, over the means
    of the kinds of questions. Both the model's answers (`read`) and the rows of a file that someone
    else made (`expected`) come to `score` in one form: the fields of a prediction as plain JSON.

    Attributes:
        name: As registered.
        metrics: Names of the figures it reports, in the order they are shown.
        macro: Those of them that are means over the means of kinds.
        curves: What is drawn, by name.
        protocol: Everything that must be equal for two results to be compared, as plain JSON
            values; written into every result.
        decoding: Options of `predict_batch` that the protocol pins.
    """

    name: str
    metrics: tuple[str, ...]
    macro: Collection[str] = frozenset()
    curves: Mapping[str, Curve] = {}
    protocol: Mapping[str, Any]
    decoding: Mapping[str, Any] = {}

    @abstractmethod
    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield media with their questions, one at a time, and what could not be read.

        Nothing is decoded. The order is the same every time, so that processes can share the work
        and a run that was cut off can go on.

        Args:
            data: The folder that holds the benchmark's files.

        Raises:
            InputError: If the folder does not hold them.
        """

    @abstractmethod
    def size(self, data: Path) -> int:
        """Return how many times `cases` yields, for progress.

        Raises:
            InputError: If the folder does not hold the benchmark's files.
        """

    @abstractmethod
    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return an answer's prediction as plain JSON values, in the units of `expected`.

        Args:
            item: The question.
            answer: What the model answered.
            media: What it was asked about; its frames may have been dropped.

        Returns:
            The fields; None if the answer holds no prediction.
        """

    @abstractmethod
    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Compare a prediction with the truth.

        Args:
            item: The question.
            predicted: Fields of a prediction; None if there is none.
        """

    def score_case(
        self, items: Sequence[Item], predicted: Sequence[Mapping[str, Any] | None]
    ) -> Sequence[Score]:
        """Score the predictions for all questions about one media item, in order.

        Override it where the official rule looks at them together.
        """
        return [self.score(*pair) for pair in zip(items, predicted, strict=True)]

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what the rows of a file of predictions must be.

        Args:
            items: Every question.

        Raises:
            InputError: If this benchmark reads no such files.
        """
        raise InputError(
            f"benchmark {self.name} scores no file of predictions; evaluate a model instead"
        )

    def read_folder(self, folder: Path) -> Iterable[Mapping[str, Any]]:
        """Read predictions that stand in a folder of files, as rows like those of one file.

        Args:
            folder: What the user gave in place of a file.

        Raises:
            InputError: If this benchmark reads no such folders, or a file in it is broken.
        """
        raise InputError(
            f"{folder} is a folder; expected a file of predictions, benchmark {self.name} reads no "
            "folder of them"
        )

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write predictions in the layout that the benchmark's server takes.

        Args:
            predictions: Of every question.
            data: The folder that holds the benchmark's files.
            output: The file to write; whole or absent.

        Raises:
            InputError: If the benchmark has no such layout, or the file cannot be written.
        """
        raise InputError(f"benchmark {self.name} has no submission layout; see its results instead")

    def published(self) -> Sequence[Published]:
        """Return figures that others published for this benchmark, in the order they are shown."""
        return ()
