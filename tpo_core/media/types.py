"""A decoded media item: frames, their times, and what is known of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

MediaKind = Literal["image", "video"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Media:
    """One picture or the sampled frames of one video.

    Args:
        kind: `"image"` or `"video"`.
        frames: uint8 RGB `[T, 3, H, W]`; None once a consumer that needs none dropped them.
        times: Presentation time of each frame in seconds, `[T]` float64; zeros for an image.
        indices: Frame numbers in the file, one per sampled frame.
        size: `(height, width)` in pixels of the original.
        duration: Seconds from the first frame's start to the last one's end; 0 for an image.
        total_frames: Frames in the file; 1 for an image.
        source: Path, or a word for media that came as a tensor.
        notes: What a reader should know, such as a damaged tail that was left out.
        every_frame: All frames of a video in order, uint8 RGB `[3, H, W]`, each decoded when it is
            asked for: heads follow objects through these; through `frames` if None. See
            `tpo_core.media.every_frame`.
    """

    kind: MediaKind
    frames: torch.Tensor | None
    times: torch.Tensor
    indices: tuple[int, ...]
    size: tuple[int, int]
    duration: float
    total_frames: int
    source: str = "memory"
    notes: tuple[str, ...] = ()
    every_frame: Sequence[torch.Tensor] | None = None

    def without_frames(self) -> Media:
        """Return the same item without pixels."""
        return replace(self, frames=None, every_frame=None)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameFeatures:
    """Visual tokens of one media item, grouped by time.

    Args:
        features: `[T, n, D]`; T time groups of n tokens (a group may span several frames).
        times: Centre of each group in seconds, `[T]`.
        duration: Seconds of the whole video.
    """

    features: torch.Tensor
    times: torch.Tensor
    duration: float
