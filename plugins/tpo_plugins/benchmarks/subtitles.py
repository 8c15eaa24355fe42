"""Subtitles of a video, and which of them are on screen at given times."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tpo_core.errors import InputError, MediaError
from tpo_core.media.container import open_video

_TIME: Final = r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})"
_TIMES: Final = re.compile(rf"{_TIME}\s*-->\s*{_TIME}")
_TAG: Final = re.compile(r"<[^>]*>|\{\\[^}]*\}")


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Words and when they are on screen, in seconds."""

    start: float
    end: float
    text: str


def read_subtitles(path: Path) -> list[Subtitle]:
    """Read an SRT file; what stands in it without times is passed over, tags are left out.

    Args:
        path: The file, UTF-8.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file") from error
    found: list[Subtitle] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.strip().split("\n")
        at = next((place for place, line in enumerate(lines) if _TIMES.match(line)), None)
        if at is None:
            continue
        times = _TIMES.match(lines[at])
        assert times is not None
        words = " ".join(_TAG.sub("", " ".join(lines[at + 1 :])).split())
        if words:
            start, end = (_seconds(times.groups()[part : part + 4]) for part in (0, 4))
            found.append(Subtitle(start, end, words))
    return found


def on_screen(subtitles: Sequence[Subtitle], times: Collection[float]) -> list[str]:
    """Return the words on screen at any of some times, each subtitle once, in their order.

    Args:
        subtitles: All of a video.
        times: In seconds.
    """
    return [one.text for one in subtitles if any(one.start <= time < one.end for time in times)]


def middle_times(path: Path, parts: int) -> list[float]:
    """Return the middles of equal parts of a video, in seconds, by the length in its header.

    Args:
        path: The video file; nothing of it is decoded.
        parts: How many.

    Returns:
        The times; none if the file is missing or does not tell its length.
    """
    try:
        container, stream = open_video(path)
    except MediaError:
        return []
    with container:
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (container.duration or 0) / 1e6
    return [(part + 0.5) * seconds / parts for part in range(parts)] if seconds else []


def _seconds(parts: Sequence[str]) -> float:
    hours, minutes, seconds = (int(part) for part in parts[:3])
    return 3600 * hours + 60 * minutes + seconds + float(f"0.{parts[3]}")
