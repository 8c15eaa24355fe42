"""J&F of each expression over all listed frames, as MeViS and Ref-YouTube-VOS average it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tpo_core.evaluation.benchmark import Item, Score
from tpo_core.evaluation.metrics.masks import BOUNDARY_TOLERANCE, frame_scores
from tpo_core.records.rle import decode
from tpo_plugins.benchmarks.frame_masks import pixels_of
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.referring import (
    ReferringBenchmark,
    ReferringItem,
    by_number,
    frames_with_masks,
)
from tpo_plugins.datasets.masks import Mask


class PerExpressionBenchmark(ReferringBenchmark):
    """Averages over frames, then over expressions (`tpo_core.evaluation.metrics.expressions`).

    Args:
        num_frames: How many frames the LLM looks at.
        strict: Score a prediction whose masks are all empty 0 if the object is visible in any
            frame; the official rule gives 1 on each frame in which it is not.
    """

    def __init__(self, *, num_frames: int = NUM_FRAMES, strict: bool = False) -> None:
        super().__init__(num_frames=num_frames)
        self.strict = strict

    @abstractmethod
    def right_masks(self, item: ReferringItem) -> Sequence[Mask]:
        """Return the right mask of each frame.

        Raises:
            InputError: If one cannot be read.
        """

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score the masks of one expression; nothing is scored without labels.

        Raises:
            InputError: If the masks are not one for each frame, of the size of the right ones.
        """
        assert isinstance(item, ReferringItem)
        missing = int(predicted is None)
        if item.truth is None:
            return Score(missing=missing)
        right = self.right_masks(item)
        j, f = (0.0, 0.0) if predicted is None else self._means(item, predicted, right)
        return Score(
            values={"j&f": ((j + f) / 2,), "j": (j,), "f": (f,)},
            missing=missing,
            truth={"masks": by_number(right)},
        )

    def _means(
        self, item: ReferringItem, predicted: Mapping[str, Any], right: Sequence[Mask]
    ) -> tuple[float, float]:
        """Return J and F; one frame is decoded at a time."""
        regions, boundaries = [], []
        is_seen = is_visible = False
        masks = frames_with_masks(item, predicted)
        for (frame, mask), right_mask in zip(masks, right, strict=True):
            truth = decode(right_mask).numpy()
            pixels = pixels_of(mask, truth.shape, where=f"{item.id}, frame {frame}")
            is_seen |= bool(pixels.any())
            is_visible |= bool(truth.any())
            region, boundary = frame_scores(pixels[None], truth[None])
            regions.append(region[0])
            boundaries.append(boundary[0])
        if self.strict and is_visible and not is_seen:
            return 0.0, 0.0
        return float(np.mean(regions)), float(np.mean(boundaries))

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return super()._pinned(
            j="intersection over union, mean over all listed frames (first and last included), "
            "then over expressions; 1 where both masks are empty",
            f=f"boundary F-measure, tolerance {BOUNDARY_TOLERANCE} of the diagonal, averaged "
            "likewise; 1 where neither mask has a boundary",
            jf="(J + F) / 2",
            missing_prediction="0",
            all_masks_empty="0" if self.strict else "1 on frames without the object, as official",
            **more,
        )
