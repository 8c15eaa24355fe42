"""The backbone's own frame features as clips: one clip a time group, the mean of its tokens."""

from __future__ import annotations

from typing import ClassVar

import torch

from tpo_core.errors import InputError
from tpo_core.head import Need
from tpo_core.media.types import FrameFeatures, Media
from tpo_heads.clip_features.source import ClipFeatures, FeatureSource


class BackboneSource(FeatureSource):
    """Pools the backbone's visual tokens; needs no other model and no files.

    It gives no text, so that the task token's state alone stands for the question. Time groups
    count as clips of equal length that fill the video.

    Args:
        hidden_size: D, width of the backbone's visual tokens.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"frame_features"})

    def __init__(self, hidden_size: int) -> None:
        self.video_width = hidden_size

    def clips(
        self,
        media: Media,
        question: str,
        *,
        frame_features: FrameFeatures | None,
        device: torch.device,
    ) -> ClipFeatures:
        """Return `[T, D]` clips of T time groups and no text; see `FeatureSource.clips`."""
        if frame_features is None:
            raise InputError(
                f"the video {media.source} came without the backbone's frame features, which "
                'features="backbone" reads; give the head a context that has them'
            )
        tokens = frame_features.features
        if tokens.ndim != 3 or 0 in tokens.shape:
            raise InputError(
                f"frame features have shape {list(tokens.shape)}; expected [T, n, D] with at least "
                "one group of one token"
            )
        return ClipFeatures(
            video=tokens.mean(1),
            text=tokens.new_empty(0, tokens.shape[-1]),
            clip_length=frame_features.duration / len(tokens),
            duration=frame_features.duration,
        )
