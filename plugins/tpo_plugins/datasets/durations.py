"""Lengths of videos whose dataset does not give them."""

from __future__ import annotations

from pathlib import Path

from tpo_core.errors import MediaError
from tpo_core.media.timeline import packet_timeline


def video_seconds(path: Path) -> float | None:
    """Return the length of a video in seconds, or None if it is missing or does not tell.

    Nothing is decoded, so that the videos of a whole dataset can be gone through.

    Args:
        path: The video file.
    """
    try:
        timeline = packet_timeline(path)
    except MediaError:
        return None
    return timeline.duration if timeline else None
