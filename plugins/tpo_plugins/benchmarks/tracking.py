"""What benchmarks about tracking share: the first box is the question, every frame's the answer.

Boxes are left, top, width and height in pixels, counted as a dataset counts them (`origin`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tpo_core.errors import InputError, MediaError, RecordError
from tpo_core.evaluation.benchmark import Case, Item
from tpo_core.evaluation.predictions import Expected
from tpo_core.media.frames_folder import frame_files
from tpo_core.records.quarantine import BadSample
from tpo_core.records.rle import box_around
from tpo_core.records.schema import RegionPrompt
from tpo_core.tokens import MASK
from tpo_plugins.benchmarks.frame_masks import tracks_of
from tpo_plugins.benchmarks.listed_frames import open_listed
from tpo_plugins.benchmarks.paper import NUM_FRAMES, PaperBenchmark, llm_frames
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import from_xywh
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.sizes import media_size
from tpo_plugins.datasets.tracks import read_boxes

if TYPE_CHECKING:
    from tpo_core.inference import Answer
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media

QUESTION: Final = "Track the object at <region> through the video."
NO_BOX: Final = (0.0, 0.0, 0.0, 0.0)
"""Stands for a frame without a mask."""

Box = Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackedVideo:
    """A sequence of a benchmark.

    Args:
        name: Unique.
        kind: Of its question.
        labels: The file with its right boxes.
        pictures: The folder with one picture a frame.
        fps: Frames a second.
        frames: How many of the pictures are frames, from the first; all if None.
        first: The right box of the first frame.
        truth: What scoring needs; None where labels are not public.
    """

    name: str
    kind: str
    labels: Path
    pictures: Path
    fps: float
    frames: int | None
    first: Box
    truth: Any = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackItem(Item):
    """The question about a sequence.

    Args:
        video: The sequence.
    """

    video: TrackedVideo


class TrackingBenchmark(PaperBenchmark):
    """One-pass evaluation: the first frame's box is given, and its object followed to the end.

    The LLM looks at some frames, the first among them; the mask head goes through every frame.

    Attributes:
        origin: What the dataset calls a picture's left and upper edge, 0 or 1.

    Args:
        num_frames: How many frames the LLM looks at.
    """

    origin: ClassVar[float] = 0.0

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        self.num_frames = num_frames

    @abstractmethod
    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the sequences; each row's value is the folder that holds one's files.

        Args:
            data: The folder that holds them all.

        Raises:
            InputError: If it does not.
        """

    @abstractmethod
    def video(self, folder: Path) -> TrackedVideo:
        """Read a sequence's files.

        Args:
            folder: Holds them.

        Raises:
            InputError: If one is missing or malformed.
        """

    def size(self, data: Path) -> int:
        """Return the number of sequences, with those that cannot be used."""
        return sum(1 for _ in self.rows(data))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield each sequence with its one question."""
        for row in self.rows(data):
            try:
                if isinstance(row, RecordError):
                    raise row
                with at_row(row):
                    case = self._case(self.video(row.value))
            except RecordError as error:
                yield BadSample.of(error)
            else:
                yield case

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the boxes around the first object's masks; `NO_BOX` where there is none.

        Raises:
            InputError: If the mask head did not go through every frame.
        """
        assert isinstance(item, TrackItem)
        frames = media.total_frames
        tracks = tracks_of(answer, frames=frames, named=f"the {frames} frames of {item.id}")
        if not tracks:
            return None
        boxes = [self._around(tracks[0][str(number)]) for number in range(1, frames)]
        return {"boxes": [list(item.video.first), *map(list, boxes)]}

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be: the boxes of every frame, in pixels."""
        return Expected(fields={"boxes": "boxes"})

    def read_folder(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Yield what a tracker wrote: `<sequence>.txt`, or `<sequence>/<sequence>_001.txt`.

        A line of a file is x,y,w,h of a frame; blanks or tabs may stand for commas. Files of times
        are passed over.

        Raises:
            InputError: If there is no such file, or one cannot be read.
        """
        found = {path.stem: path for path in folder.glob("*.txt") if not _is_time(path)}
        found |= {path.parent.name: path for path in folder.glob("*/*_001.txt")}
        if not found:
            raise InputError(
                f"{folder} holds no <sequence>.txt and no <sequence>/<sequence>_001.txt; expected "
                "one file of x,y,w,h lines for each sequence"
            )
        for name, path in sorted(found.items()):
            yield {"id": name, "boxes": read_boxes(path).tolist()}

    def _around(self, mask: Mapping[str, Any]) -> Box:
        """Return the tight box of a mask."""
        box = box_around(mask)
        return NO_BOX if box is None else (box[0] + self.origin, box[1] + self.origin, *box[2:])

    def _case(self, video: TrackedVideo) -> Case:
        item = TrackItem(
            id=video.name,
            kind=video.kind,
            text=QUESTION,
            boxes=self._prompt(video),
            tasks=(MASK.task,),
            truth=video.truth,
            video=video,
        )
        load = partial(_load, video=video, num_frames=self.num_frames)
        return Case(media=str(video.pictures), load=load, items=(item,))

    def _prompt(self, video: TrackedVideo) -> tuple[RegionPrompt, ...]:
        """Return the first box, normalised; none where pictures lack, which `load` will tell."""
        try:
            size = media_size(video.pictures, "video")
        except MediaError:
            return ()
        box = from_xywh(video.first, size, origin=self.origin)
        if box is None:
            raise InputError(
                f"the first box {list(video.first)} has no area in the picture of {size[1]} x "
                f"{size[0]}; expected x,y,w,h in pixels"
            )
        return (RegionPrompt(box=(box[0], box[1], box[2], box[3])),)

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return super()._pinned(
            mode="one pass: the first frame's box is given, nothing after it",
            question=QUESTION,
            llm_frames=llm_frames(self.num_frames),
            tracked_frames="every one, in order, by the mask head; none is interpolated",
            box="the tight box around the mask; the given box on the first frame",
            **more,
        )


def _is_time(path: Path) -> bool:
    return path.stem.endswith("_time")


def _load(choose: FrameChooser, *, video: TrackedVideo, num_frames: int) -> Media:
    """Open a sequence for an LLM that looks at some frames and a head that follows all of them."""
    files = frame_files(video.pictures)
    count = len(files) if video.frames is None else video.frames
    if len(files) < count:
        raise MediaError(
            f"{video.pictures} has {len(files)} pictures but {count} frames are labelled; get the "
            "rest of the video"
        )
    names = [file.stem for file in files[:count]]
    return open_listed(
        choose, folder=video.pictures, names=names, num_frames=num_frames, fps=video.fps
    )
