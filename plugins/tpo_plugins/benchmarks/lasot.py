"""LaSOT's test split (protocol II): one-pass evaluation by the authors' toolkit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.evaluation.benchmark import Curve, Item, Score
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.tracking import (
    TrackedVideo,
    TrackingBenchmark,
    TrackItem,
)
from tpo_plugins.datasets import lasot
from tpo_plugins.datasets.files import data_folder
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.tracks import Track

if TYPE_CHECKING:
    from tpo_core.errors import RecordError
    from tpo_core.evaluation.metrics.lasot_frames import FrameErrors
    from tpo_core.evaluation.metrics.tracking import Floats

METRICS: Final = ("success_auc", "normalised_precision@0.2", "precision@20", "op50", "op75")
_OVERLAPS: Final = tuple(round(0.05 * step, 2) for step in range(21))
CURVES: Final[Mapping[str, Curve]] = {
    "success": Curve(x=_OVERLAPS, x_label="IoU", y_label="share of frames above it"),
    "precision": Curve(
        x=tuple(map(float, range(51))),
        x_label="distance of centres in pixels",
        y_label="share of frames within it",
    ),
    "normalised_precision": Curve(
        x=tuple(step / 100 for step in range(51)),
        x_label="distance of centres in widths and heights of the right box",
        y_label="share of frames within it",
    ),
}


class Lasot(TrackingBenchmark):
    """Follows one object through each of 280 long videos (arXiv 1809.07845).

    Figures are those of the authors' MATLAB toolkit (`tpo_core.evaluation.metrics.lasot`): means
    over sequences. Per-class figures are given as kinds.

    Args:
        num_frames: How many frames the LLM looks at.
        strict: Count a frame without a predicted box as a miss (the toolkit repeats the previous
            frame's box), a visible frame whose right box is invalid as a miss (the toolkit counts
            it as a precision hit, whatever was predicted), and keep a sequence without any hit (the
            toolkit leaves it out).
    """

    name = "lasot"
    metrics = METRICS
    curves = CURVES
    origin = lasot.ORIGIN

    def __init__(self, *, num_frames: int = NUM_FRAMES, strict: bool = False) -> None:
        super().__init__(num_frames=num_frames)
        self.strict = strict
        self.protocol: Mapping[str, Any] = self._pinned(
            split="test of protocol II, 280 sequences",
            source="HengLan/LaSOT_Evaluation_Toolkit (MATLAB)",
            origin="pixels count from 1",
            strict=strict,
            first_frame="its prediction is replaced by the right box, and counted",
            no_box="a miss" if strict else "replaced by the previous frame's box",
            absent="a frame without the target is a miss and counts",
            invalid_label="a miss" if strict else "a miss of success and a hit of both precisions",
            without_hit="counts" if strict else "a sequence whose whole curve is 0 is left out",
            missing_prediction="a sequence without prediction scores 0 in every figure",
            success_auc="mean over IoU > 0, 0.05, ..., 1",
            precision="centres at most 20 pixels apart",
            normalised_precision="centres at most 0.2 widths and heights of the right box apart",
            op="share of frames with IoU > 0.5 and > 0.75",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the sequences that are there, then those of the split that are not."""
        root = data_folder(data)
        found = lasot.sequences(root, split="test")
        absent = sorted(lasot.test_names() - {folder.name for folder in found})
        places = [*found, *(root / name.rpartition("-")[0] / name for name in absent)]
        for number, folder in enumerate(places, start=1):
            yield Row(value=folder, path=folder / "groundtruth.txt", number=number)

    def video(self, folder: Path) -> TrackedVideo:
        """Read a sequence's boxes and flags."""
        track = lasot.read_track(folder)
        return TrackedVideo(
            name=folder.name,
            kind=folder.name.rpartition("-")[0],
            labels=folder / "groundtruth.txt",
            pictures=folder / "img",
            fps=lasot.FPS,
            frames=len(track.boxes),
            first=track.boxes[0].tolist(),
            truth=track,
        )

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        """Score one sequence's boxes; see the class.

        Raises:
            InputError: If a frame has no box; further ones are cut.
        """
        from tpo_core.evaluation.metrics.lasot_frames import LasotSequence, frame_errors

        assert isinstance(item, TrackItem)
        track: Track = item.truth
        truth = {"file": str(item.video.labels), "frames": len(track.boxes)}
        if predicted is None:
            return Score(
                values=dict.fromkeys(METRICS, (0.0,)),
                missing=1,
                curves={name: (0.0,) * len(curve.x) for name, curve in CURVES.items()},
                truth=truth,
            )
        sequence = LasotSequence(
            name=item.id, truth=track.boxes, prediction=predicted["boxes"], absent=track.absent
        )
        errors = frame_errors(sequence)
        if self.strict:
            errors = _strict(errors, predicted["boxes"])
        curves = _curves(errors)
        if not self.strict:
            curves = {name: curve for name, curve in curves.items() if curve.any()}
        return Score(
            values=_figures(curves),
            curves={name: tuple(curve.tolist()) for name, curve in curves.items()},
            truth=truth,
        )


def _strict(errors: FrameErrors, boxes: list[list[float]]) -> FrameErrors:
    """Make a miss of frames without a predicted or without a valid right box."""
    import numpy as np

    sides = np.asarray(boxes, np.float64)[: len(errors.valid), 2:].copy()
    sides[0] = 1.0  # the first frame's box is the right one, whatever was predicted
    counts = errors.valid & (sides > 0).all(axis=1)
    return replace(
        errors,
        overlap=np.where(counts, errors.overlap, -1.0),
        centre=np.where(counts, errors.centre, np.inf),
        normalised=np.where(counts, errors.normalised, np.inf),
    )


def _curves(errors: FrameErrors) -> dict[str, Floats]:
    """Return each curve of a sequence: shares of all its frames."""
    from tpo_core.evaluation.metrics.lasot import (
        NORMALISED_THRESHOLDS,
        OVERLAP_THRESHOLDS,
        PIXEL_THRESHOLDS,
    )
    from tpo_core.evaluation.metrics.tracking import count_above, count_within

    frames = len(errors.valid)
    within = NORMALISED_THRESHOLDS["matlab"]
    return {
        "success": count_above(errors.overlap, OVERLAP_THRESHOLDS) / frames,
        "precision": count_within(errors.centre, PIXEL_THRESHOLDS) / frames,
        "normalised_precision": count_within(errors.normalised, within) / frames,
    }


def _figures(curves: Mapping[str, Floats]) -> dict[str, tuple[float, ...]]:
    """Return the values of the metrics; none where a curve was left out."""
    points = {
        "op50": ("success", 10),
        "op75": ("success", 15),
        "precision@20": ("precision", 20),
        "normalised_precision@0.2": ("normalised_precision", 20),
    }
    figures = {
        name: (float(curves[curve][place]),) if curve in curves else ()
        for name, (curve, place) in points.items()
    }
    auc = (float(curves["success"].mean()),) if "success" in curves else ()
    return {"success_auc": auc, **figures}
