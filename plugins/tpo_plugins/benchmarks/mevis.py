"""MeViS: expressions about motion; valid_u is scored here, valid by the authors' server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from tpo_core.errors import RecordError
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.per_expression import PerExpressionBenchmark
from tpo_plugins.benchmarks.referring import ReferringItem, Truth
from tpo_plugins.datasets import mevis
from tpo_plugins.datasets.expressions import Expression
from tpo_plugins.datasets.files import data_folder, find_file
from tpo_plugins.datasets.masks import Mask
from tpo_plugins.datasets.quirks import Quirks


class Mevis(PerExpressionBenchmark):
    """Segments what expressions about motion mean, one object or several (arXiv 2308.08544).

    The right mask is the union of all annotations of an expression. `export` writes what the
    authors' script and their server read: `<video>/<expression>/<frame>.png`.

    Args:
        num_frames: How many frames the LLM looks at.
        strict: See `PerExpressionBenchmark`.
    """

    name = "mevis"
    fps = mevis.FPS
    split: ClassVar[Literal["valid_u", "valid"]] = "valid_u"

    def __init__(self, *, num_frames: int = NUM_FRAMES, strict: bool = False) -> None:
        super().__init__(num_frames=num_frames, strict=strict)
        self.protocol: Mapping[str, Any] = self._pinned(
            split=self.split,
            truth="the union of the expression's annotations; empty where they are null",
            source="henghuiding/MeViS tools/eval_mevis.py",
        )

    def videos(self, data: Path) -> Iterator[list[ReferringItem] | RecordError]:
        """Yield the expressions of each video of the split with their right masks."""
        folder = find_file(data_folder(data), f"{self.split}/meta_expressions.json").parent
        truth = _right_masks(folder) if self.split == "valid_u" else None
        for group in mevis.expressions(data, split=self.split):
            if isinstance(group, RecordError):
                yield group
            else:
                yield from self._items(
                    group, pictures=folder / "JPEGImages" / group.key, truth=truth
                )

    def kind(self, expression: Expression) -> str:
        """Tell expressions for one object and for several apart, where this is released."""
        if not expression.annotations:
            return self.split
        return "one object" if len(expression.annotations) == 1 else "several objects"

    def right_masks(self, item: ReferringItem) -> Sequence[Mask]:
        """Return the union of the expression's annotations on each frame."""
        masks: Sequence[Mask] = item.truth
        return masks


class MevisValid(Mevis):
    """The split valid of MeViS: null for every figure, an export for its server; see `Mevis`.

    Args:
        num_frames: How many frames the LLM looks at.
    """

    name = "mevis_valid"
    split = "valid"

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        super().__init__(num_frames=num_frames)


def _right_masks(folder: Path) -> Truth:
    file = mevis.MaskFile(find_file(folder, "mask_dict.json"), quirks=Quirks())
    return lambda expression, size: file.masks(expression, size=size)
