"""Typed results with units: boxes, moments and masks. Free of torch until a mask is touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Result(ABC):
    """What a head makes of one slot; `str()` of it stands in the answer's text."""

    __slots__ = ()

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, units as documented on the class."""


@dataclass(frozen=True, slots=True)
class Box(Result):
    """A box; xyxy normalised to [0, 1] of the original image."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The four coordinates."""
        return self.x1, self.y1, self.x2, self.y2

    def pixels(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return xyxy in pixels of an image of `size` (height, width)."""
        height, width = size
        return self.x1 * width, self.y1 * height, self.x2 * width, self.y2 * height

    def to_json(self) -> dict[str, Any]:
        """Return `{"box": [x1, y1, x2, y2]}`, normalised."""
        return {"box": [round(value, 5) for value in self.xyxy]}

    def __str__(self) -> str:
        return "[" + ", ".join(f"{value:.2f}" for value in self.xyxy) + "]"


@dataclass(frozen=True, slots=True)
class BoxTrack(Result):
    """One object's boxes through a video, by frame number in the file, where it is visible."""

    boxes: Mapping[int, Box]

    def to_json(self) -> dict[str, Any]:
        """Return `{"boxes": {frame: [x1, y1, x2, y2]}}`, normalised."""
        return {"boxes": {str(index): box.to_json()["box"] for index, box in self.boxes.items()}}

    def __str__(self) -> str:
        return f"boxes on {len(self.boxes)} frames"


@dataclass(frozen=True, slots=True)
class Span:
    """A moment in seconds, with the head's confidence in [0, 1]."""

    start: float
    end: float
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Moments(Result):
    """Ranked moments, best first, and saliency over time.

    Args:
        spans: Best first; at least one.
        times: Seconds at which saliency was scored.
        saliency: A score for each of `times`.
        count: How many of the spans the head takes to be moments of the answer (at least 1); the
            rest are lower-ranked candidates.
    """

    spans: tuple[Span, ...]
    times: tuple[float, ...] = ()
    saliency: tuple[float, ...] = ()
    count: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return spans and saliency in seconds."""
        return {
            "spans": [asdict(span) for span in self.spans],
            "count": self.count,
            "saliency": {"times": list(self.times), "scores": list(self.saliency)},
        }

    def __str__(self) -> str:
        best = sorted(self.spans[: self.count], key=lambda span: span.start)
        return " and ".join(f"{span.start:.1f}-{span.end:.1f} s" for span in best)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedMaskTrack(Result):
    """One object's masks on every frame of a video, small at any length.

    Args:
        frames: COCO run-length encoding by frame number, at the original size; see
            `tpo_core.records.rle`.
        scores: Confidence that the object is visible in each of them, in [0, 1].
    """

    frames: Mapping[int, Mapping[str, Any]]
    scores: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the run-length encodings by frame number."""
        return {
            "frames": {str(index): dict(rle) for index, rle in self.frames.items()},
            "scores": list(self.scores),
        }

    def __str__(self) -> str:
        from tpo_core.records.rle import box_around

        visible = sum(box_around(rle) is not None for rle in self.frames.values())
        return f"a mask on {visible} of {len(self.frames)} frames"


@dataclass(frozen=True, slots=True, eq=False)
class MaskTrack(Result):
    """One object's masks on the frames that were looked at.

    Args:
        masks: bool `[T, H, W]` at the original size.
        indices: Frame number in the file of each mask.
        times: Seconds of each mask.
        scores: Confidence that the object is visible in each frame, in [0, 1].
    """

    masks: Tensor
    indices: tuple[int, ...]
    times: tuple[float, ...]
    scores: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return COCO run-length encodings by frame number."""
        from tpo_core.records.rle import encode

        return {
            "frames": {
                str(index): encode(mask)
                for index, mask in zip(self.indices, self.masks, strict=True)
            },
            "times": list(self.times),
            "scores": list(self.scores),
        }

    def __str__(self) -> str:
        visible = int(self.masks.flatten(1).any(1).sum())
        return f"a mask on {visible} of {len(self.indices)} frames"
