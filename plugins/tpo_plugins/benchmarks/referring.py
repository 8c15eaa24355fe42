"""What benchmarks about referring video object segmentation share: expressions in, masks out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tpo_core.errors import InputError, MediaError, RecordError
from tpo_core.evaluation.benchmark import Case, Item
from tpo_core.evaluation.predictions import Expected
from tpo_core.records.quarantine import BadSample
from tpo_core.tokens import MASK
from tpo_plugins.benchmarks.frame_masks import in_order, pixels_of, tracked_masks
from tpo_plugins.benchmarks.listed_frames import open_listed
from tpo_plugins.benchmarks.mask_tree import as_png, read_tree
from tpo_plugins.benchmarks.paper import NUM_FRAMES, PaperBenchmark, llm_frames
from tpo_plugins.benchmarks.submission import predicted_by_id, write_zip
from tpo_plugins.datasets.at_row import at_row
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.expressions import Expression
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.masks import Mask
from tpo_plugins.datasets.sizes import media_size
from tpo_plugins.datasets.templates import phrase

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction
    from tpo_core.inference import Answer
    from tpo_core.media.types import Media

METRICS: Final = ("j&f", "j", "f")
PROMPT: Final = "Give the mask of what this describes: {query}."


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReferringItem(Item):
    """An expression to be segmented.

    Args:
        expression: As released.
        pictures: The folder that holds the video's frames.
        size: Height and width of a picture; None if the folder is not there.
    """

    expression: Expression
    pictures: Path
    size: Size | None


Truth = Callable[[Expression, Size | None], Any]
"""Finds the label of an expression of a video of the size; raises InputError if it cannot."""


class ReferringBenchmark(PaperBenchmark):
    """Asks for the masks of what expressions describe, on every frame of folders of pictures.

    The LLM looks at some frames, the first among them; the mask head goes through every frame.

    A row of a file of predictions holds `id`, which is `<video>/<expression>`, and `masks`, see
    `tpo_plugins.benchmarks.frame_masks`. The official tree of PNGs is read in place of a file.

    Attributes:
        fps: Frames a second of the listed frames.

    Args:
        num_frames: How many frames the LLM looks at.
    """

    metrics = METRICS
    fps: ClassVar[float]

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        self.num_frames = num_frames

    @abstractmethod
    def videos(self, data: Path) -> Iterator[list[ReferringItem] | RecordError]:
        """Yield the expressions of each video, and what cannot be used.

        Args:
            data: The folder that holds the benchmark's files.

        Raises:
            InputError: If it does not.
        """

    @abstractmethod
    def kind(self, expression: Expression) -> str:
        """Return the kind of the question about an expression."""

    def size(self, data: Path) -> int:
        """Return the number of videos and of what cannot be used."""
        return sum(1 for _ in self.videos(data))

    def cases(self, data: Path) -> Iterator[Case | BadSample]:
        """Yield each video with its expressions."""
        for found in self.videos(data):
            if isinstance(found, RecordError):
                yield BadSample.of(found)
                continue
            first = found[0]
            load = partial(
                open_listed,
                folder=first.pictures,
                names=first.expression.frames,
                num_frames=self.num_frames,
                fps=self.fps,
            )
            yield Case(media=str(first.pictures), load=load, items=tuple(found))

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any] | None:
        """Return the union of the answer's masks by the number of the frame."""
        assert isinstance(item, ReferringItem)
        masks = tracked_masks(answer, frames=len(item.expression.frames))
        return None if masks is None else {"masks": masks}

    def expected(self, items: Sequence[Item]) -> Expected:
        """Return what a row of predictions must be: masks of the size of the pictures."""
        asked = [item for item in items if isinstance(item, ReferringItem)]
        return Expected(
            fields={"masks": "masks"},
            sizes={item.id: item.size for item in asked if item.size is not None},
        )

    def read_folder(self, folder: Path) -> Iterable[Mapping[str, Any]]:
        """Read a tree of PNGs, `<video>/<expression>/<frame>.png`; see `Benchmark.read_folder`."""
        return read_tree(folder)

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write a zip of PNGs in the official layout; see `Benchmark.export`.

        Every frame of every expression has a picture: an empty one where nothing was predicted,
        which the official rule then scores like a predicted empty mask.

        Raises:
            InputError: If the predictions are not those of the questions in the folder, a mask
                cannot be used, or the file cannot be written.
        """
        videos = [found for found in self.videos(data) if not isinstance(found, RecordError)]
        ids = {item.id for items in videos for item in items}
        found = predicted_by_id(predictions, ids, name=self.name)
        asked = {one.id for one in predictions}
        if lacking := ids - asked:
            raise InputError(
                f"{len(ids)} expressions are to be exported and {len(asked)} have been asked, not "
                f"{min(lacking)!r}; evaluate {self.name} on all of {data}"
            )
        by_id = {name: found.get(name) for name in ids}
        write_zip(output, (file for items in videos for file in self.submitted(items, by_id)))

    def submitted(
        self, items: Sequence[ReferringItem], predicted: Mapping[str, Mapping[str, Any] | None]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield `<video>/<expression>/<frame>.png`, 255 where the object is, for each expression.

        Args:
            items: The expressions of a video.
            predicted: Fields of the predictions by id.
        """
        import numpy as np

        for item in items:
            for frame, mask in frames_with_masks(item, predicted[item.id]):
                pixels = pixels_of(mask, picture_size(item), where=f"{item.id}, frame {frame}")
                yield f"{item.id}/{frame}.png", as_png(pixels.astype(np.uint8) * 255)

    def _items(
        self, group: Group, *, pictures: Path, truth: Truth | None
    ) -> Iterator[list[ReferringItem] | RecordError]:
        """Yield the expressions of a video that cannot be used, then all others together.

        Args:
            group: The expressions.
            pictures: The folder that holds the video's frames.
            truth: Finds their labels; None where labels are not public.
        """
        size = _known_size(pictures)
        items = []
        for row in group.rows:
            expression: Expression = row.value
            try:
                with at_row(row):
                    label = None if truth is None else truth(expression, size)
            except RecordError as error:
                yield error
                continue
            item = ReferringItem(
                id=f"{expression.video}/{expression.key}",
                kind=self.kind(expression),
                text=PROMPT.format(query=phrase(expression.text)),
                tasks=(MASK.task,),
                truth=label,
                expression=expression,
                pictures=pictures,
                size=size,
            )
            items.append(item)
        if items:
            yield items

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return super()._pinned(
            prompt=PROMPT,
            query="the expression in lower case, with single blanks, without a full stop",
            llm_frames=llm_frames(self.num_frames),
            segmented_frames="every listed frame, in order, by the mask head, from the task "
            "token's prompt on the first; none is interpolated",
            fps=self.fps,
            masks="the union of all masks of the answer, at the size of the picture",
            **more,
        )


def frames_with_masks(
    item: ReferringItem, predicted: Mapping[str, Any] | None
) -> list[tuple[str, Any]]:
    """Return the name of each frame and its mask; without a prediction all are None.

    Raises:
        InputError: If the prediction is not about all frames and no others.
    """
    names = item.expression.frames
    if predicted is None:
        return [(name, None) for name in names]
    return list(zip(names, in_order(predicted["masks"], names, where=item.id), strict=True))


def by_number(masks: Iterable[Mask]) -> dict[str, Mask]:
    """Return masks by the number of the frame."""
    return {str(number): mask for number, mask in enumerate(masks)}


def picture_size(item: ReferringItem) -> Size:
    """Return height and width of a video's pictures.

    Raises:
        MediaError: If the folder is not there.
    """
    return media_size(item.pictures, "video") if item.size is None else item.size


def _known_size(pictures: Path) -> Size | None:
    try:
        return media_size(pictures, "video")
    except MediaError:
        return None  # `load` will tell
