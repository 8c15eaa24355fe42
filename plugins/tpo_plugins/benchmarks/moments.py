"""What benchmarks about moments share: questions by video, ranked spans, files of predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tpo_core.errors import RecordError
from tpo_core.evaluation.benchmark import Case, Item
from tpo_core.evaluation.predictions import Expected, Kind
from tpo_core.media.open import open_media
from tpo_core.records.quarantine import BadSample
from tpo_core.results import Moments
from tpo_core.tokens import TEMPORAL
from tpo_plugins.benchmarks.paper import (
    FRAME_SAMPLING,
    NUM_FRAMES,
    PaperBenchmark,
    grouped,
)
from tpo_plugins.datasets.files import MediaFiles, data_folder
from tpo_plugins.datasets.rows import Row

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media

TASKS: Final = (TEMPORAL.task,)
IOU_LEVELS: Final = tuple(round(0.05 * step, 2) for step in range(21))
"""Where curves over a threshold are sampled."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MomentItem(Item):
    """A question about a video.

    Args:
        video: The name of the video's file without its suffix.
        query: What is looked for, as released.
        key: What the id fields of a row of predictions hold.
        duration: Seconds of the video; None if they are not released.
    """

    video: str
    query: str
    key: Hashable
    duration: float | None = None


class MomentBenchmark(PaperBenchmark):
    """Asks about videos that lie anywhere below the data folder.

    Attributes:
        fields: See `Expected`.
        id_fields: See `Expected`.

    Args:
        num_frames: How many frames of a video the LLM looks at.
    """

    fields: ClassVar[Mapping[str, Kind]]
    id_fields: ClassVar[tuple[str, ...]] = ("qid",)

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        self.num_frames = num_frames

    @abstractmethod
    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the annotation files.

        Args:
            data: The folder that holds them.

        Raises:
            InputError: If it does not.
        """

    @abstractmethod
    def questions(self, row: Row) -> Iterable[MomentItem]:
        """Return the questions of a row.

        Raises:
            RecordError: If the row is malformed.
        """

    def size(self, data: Path) -> int:
        """Return the number of videos and of bad rows."""
        return sum(1 for _ in self._grouped(data))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield bad rows, then each video with its questions."""
        videos = MediaFiles(data)
        for found in self._grouped(data):
            if isinstance(found, BadSample):
                yield found
                continue
            path = data / videos.ref(found[0].video).path
            yield Case(
                media=str(path),
                load=partial(_load, path=path, num_frames=self.num_frames),
                items=tuple(found),
            )

    def items(self, data: Path) -> list[MomentItem]:
        """Return every question, in the order of `cases`."""
        groups = self._grouped(data)
        return [item for each in groups if not isinstance(each, BadSample) for item in each]

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be; videos of known length check its unit."""
        asked = [item for item in items if isinstance(item, MomentItem)]
        return Expected(
            fields=self.fields,
            id_fields=self.id_fields,
            keys={item.id: item.key for item in asked},
            durations={item.key: item.duration for item in asked if item.duration is not None},
        )

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return super()._pinned(num_frames=self.num_frames, frame_sampling=FRAME_SAMPLING, **more)

    def _grouped(self, data: Path) -> Iterator[list[MomentItem] | BadSample]:
        """Yield bad rows, then the questions of each video, videos as they first appear."""
        rows = self.rows(data_folder(data))
        return grouped(rows, questions=self.questions, media=lambda item: item.video)


def first_moments(answer: Answer) -> Moments | None:
    """Return what the temporal head made of the first slot of an answer; None without one."""
    return next((found for _, found in answer.results if isinstance(found, Moments)), None)


def ranked(moments: Moments) -> list[list[float]]:
    """Return every span as [start, end, score], best first, times in seconds."""
    return [[span.start, span.end, span.score] for span in moments.spans]


def _load(choose: FrameChooser, *, path: Path, num_frames: int) -> Media:
    return open_media(path, num_frames=num_frames, kind="video", choose=choose)
