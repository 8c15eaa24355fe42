"""Ref-YouTube-VOS: expressions for single objects; valid is scored by a server alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from tpo_core.errors import InputError, RecordError
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.per_expression import PerExpressionBenchmark
from tpo_plugins.benchmarks.referring import ReferringItem
from tpo_plugins.datasets import ref_youtube_vos
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.expressions import Expression
from tpo_plugins.datasets.files import data_folder, find_file
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.masks import Mask, area, encode, read_labels

_VIDEOS = {
    "train": "all",
    "valid": "those of the validation file that the test file does not list",
}


class RefYoutubeVosTrain(PerExpressionBenchmark):
    """The training split, whose masks are released: J and F as papers say the server takes them.

    Listed frames are every fifth of 30 a second. `export` writes the server's layout,
    `Annotations/<video>/<expression>/<frame>.png`.

    Args:
        num_frames: How many frames the LLM looks at.
        strict: See `PerExpressionBenchmark`.
    """

    name = "ref_youtube_vos_train"
    fps = ref_youtube_vos.FPS
    split: ClassVar[Literal["train", "valid"]] = "train"

    def __init__(self, *, num_frames: int = NUM_FRAMES, strict: bool = False) -> None:
        super().__init__(num_frames=num_frames, strict=strict)
        self.protocol: Mapping[str, Any] = self._pinned(
            split=self.split,
            videos=_VIDEOS[self.split],
            truth="pixels whose value is the object's number",
            source="the server's code is not public; J and F as in henghuiding/MeViS "
            "tools/eval_mevis.py, of the listed frames",
        )

    def videos(self, data: Path) -> Iterator[list[ReferringItem] | RecordError]:
        """Yield the expressions of each video of the split."""
        file = find_file(data_folder(data), f"meta_expressions/{self.split}/meta_expressions.json")
        folder = file.parents[2] / self.split
        for group in ref_youtube_vos.expressions(data, split=self.split):
            if isinstance(group, RecordError):
                yield group
            else:
                yield from self._video(group, folder)

    def kind(self, expression: Expression) -> str:
        """Return the split."""
        return self.split

    def right_masks(self, item: ReferringItem) -> Sequence[Mask]:
        """Return the pixels of the object's number on each frame.

        Raises:
            InputError: If a frame cannot be read, or none shows the object.
        """
        number = _object_of(item.expression)
        files = [item.truth / f"{frame}.png" for frame in item.expression.frames]
        masks = [encode(read_labels(file) == number) for file in files]
        if not any(map(area, masks)):
            raise InputError(
                f"object {number} of {item.id} is in no mask of {item.truth}; get the annotations "
                "again"
            )
        return masks

    def read_folder(self, folder: Path) -> Iterable[Mapping[str, Any]]:
        """Read the server's tree, with `Annotations` or without; see `Benchmark.read_folder`."""
        inner = folder / "Annotations"
        return super().read_folder(inner if inner.is_dir() else folder)

    def submitted(
        self, items: Sequence[ReferringItem], predicted: Mapping[str, Mapping[str, Any] | None]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield `Annotations/<video>/<expression>/<frame>.png`; see `ReferringBenchmark`."""
        for name, content in super().submitted(items, predicted):
            yield f"Annotations/{name}", content

    def _video(self, group: Group, folder: Path) -> Iterator[list[ReferringItem] | RecordError]:
        pictures, truth = folder / "JPEGImages" / group.key, None
        if self.split == "train":
            masks = folder / "Annotations" / group.key
            files = [masks / f"{frame}.png" for frame in group.rows[0].value.frames]
            if lacking := [file for file in files if not file.is_file()]:
                yield group.rows[0].error(f"{lacking[0]} does not exist; get the annotations again")
                return
            truth = partial(_folder_of_masks, masks)
        yield from self._items(group, pictures=pictures, truth=truth)


class RefYoutubeVos(RefYoutubeVosTrain):
    """The split valid, scored by a server alone: null for every figure, an export for the server.

    Args:
        num_frames: How many frames the LLM looks at.
    """

    name = "ref_youtube_vos"
    split = "valid"

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        super().__init__(num_frames=num_frames)


def _folder_of_masks(masks: Path, expression: Expression, size: Size | None) -> Path:
    _object_of(expression)
    return masks


def _object_of(expression: Expression) -> int:
    """Return the number of the object that an expression means.

    Raises:
        InputError: If it is not one.
    """
    if len(expression.objects) != 1:
        raise InputError(
            f"the expression is for objects {list(expression.objects)}; expected the number of one"
        )
    return expression.objects[0]
