"""The interface of benchmarks: which questions to ask, how an answer scores, what is pinned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core.media.sampling import FrameChooser, choose_frames

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media
    from tpo_core.records.quarantine import BadSample
    from tpo_core.records.schema import RegionPrompt


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Item:
    """One question of a benchmark.

    Args:
        id: Unique in the benchmark.
        kind: What is asked, such as `temporal/appear`; details are given for each kind.
        text: The user's turn, with `<region>` where a box is meant.
        boxes: The boxes that the text's `<region>` marks mean, in order.
        tasks: Tasks whose results a right answer holds; a model without a head for one of them is
            not asked.
        truth: Whatever the benchmark needs to score the answer.
    """

    id: str
    kind: str
    text: str
    boxes: tuple[RegionPrompt, ...] = ()
    tasks: tuple[str, ...] = ()
    truth: Any = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """One media item and the questions about it; they share its encoded prefix.

    Args:
        media: The decoded media.
        items: The questions, in order.
    """

    media: Media
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one answer is worth.

    Args:
        values: For each metric or part of one, a value for each thing that was to be predicted, in
            [0, 1]; what was not predicted has its value too, 0.
        missing: How many things that were to be predicted are not in the answer.
        truth: The label as plain JSON values.
        predicted: What was scored as plain JSON values.
    """

    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    missing: int = 0
    truth: Any = None
    predicted: Any = None


class Benchmark(ABC):
    """A benchmark: a `BenchmarkSpec`'s target is a subclass, called without arguments.

    Attributes:
        name: As registered.
        metrics: Names of the figures it reports, in the order they are shown.
        protocol: Everything that must be equal for two results to be compared, as plain JSON
            values; written into every result.
        decoding: Options of `predict_batch` that the protocol pins.
        choose_frames: Which frames of a video the model looks at; `evaluate` sets its backbone's,
            for `cases` to open media with.
    """

    name: str
    metrics: tuple[str, ...]
    protocol: Mapping[str, Any]
    decoding: Mapping[str, Any] = {}
    choose_frames: FrameChooser = staticmethod(choose_frames)

    @abstractmethod
    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield media with their questions, one at a time, and what could not be read.

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
    def score(self, item: Item, answer: Answer | None) -> Score:
        """Compare an answer with the truth.

        Args:
            item: The question.
            answer: What the model answered; None if it could not be asked.
        """
