"""What a temporal head reads of a video: a row of features a clip, and rows of text.

Shapes: Lv clips of a video, C width of a clip's row, Lt rows of text, Dt their width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tpo_core.head import Need
from tpo_core.media.types import FrameFeatures, Media


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipFeatures:
    """One video in equal clips, and one question about it, as a source computed them.

    Neither normalised nor with time columns: the head that asked does both.

    Args:
        video: `[Lv, C]` float, Lv >= 1; clip k covers `[k, k + 1) * clip_length` seconds.
        text: `[Lt, Dt]` float, the question's words; `[0, any]` if the source gives no text.
        clip_length: Seconds of a clip.
        duration: Seconds of the whole video; a trailing part shorter than a clip may have no row.
    """

    video: Tensor
    text: Tensor
    clip_length: float
    duration: float


class FeatureSource(ABC):
    """Gives clip features of a media item and a question.

    A subclass's constructor takes `hidden_size`, the backbone's width, first and options by
    keyword, all JSON-serialisable, and sets `video_width` and `text_width` without reading data, so
    that a saved head can be built where its videos are not. A source is no `nn.Module`: what model
    it runs is frozen, and no part of the head's weights.

    Attributes:
        needs: What it wants of the media besides size and times, as `TaskHead.needs`.
        video_width: C.
        text_width: Dt; None if it never gives text.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    video_width: int
    text_width: int | None = None

    @abstractmethod
    def clips(
        self,
        media: Media,
        question: str,
        *,
        frame_features: FrameFeatures | None,
        device: torch.device,
    ) -> ClipFeatures:
        """Return the features of one video and one question about it.

        Called once for every slot: a source with costly video features should keep those of the
        last few media items.

        Args:
            media: The video.
            question: The user's whole turn.
            frame_features: The backbone's own, if `needs` asks for `"frame_features"`.
            device: Where the head computes; a model of the source's own should run there. What is
                returned may lie on any device.

        Raises:
            InputError: If there are no features for this video or question, or they do not fit.
        """

    def skip_reason(self, media: Media) -> str | None:
        """Return why a video cannot be trained on, if that is cheap to tell before the batch."""
        return None
