"""Whether a label says something about its media."""

from __future__ import annotations

from tpo_core.media.types import Media
from tpo_core.records.schema import TemporalTarget


def skip_reason(target: TemporalTarget, media: Media | None) -> str | None:
    """Return why a target is no moment of its media: no video, or past its end; None if it is."""
    if media is None:
        return "no media item to find moments in"
    if media.kind == "image":
        return "moments were asked of a picture; they need a video"
    for start, end in target.spans:
        if start >= media.duration:
            return f"moment [{start}, {end}] starts after the video's end, {media.duration} s"
    return None
