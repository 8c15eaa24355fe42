"""Videos, through PyAV: frames chosen by presentation time and decoded in one pass.

The packets' time stamps are read first (no decoding, a small part of the cost), so that the frames
to keep are known before the one decoding pass and memory is bounded by them. Only where that plan
turns out wrong, in a damaged or unusual file, the frames that really came out are planned for anew.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError
from tpo_core.media.container import decoded_frames, open_video, upright
from tpo_core.media.sampling import FrameChooser, choose_frames
from tpo_core.media.timeline import Timeline, frame_seconds, packet_timeline, stamped
from tpo_core.media.types import Media

if TYPE_CHECKING:
    import numpy as np


def decode_video(
    path: str | Path,
    *,
    num_frames: int | None,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
    choose: FrameChooser = choose_frames,
) -> Media:
    """Decode some frames of a video.

    Args:
        path: A file in any format FFmpeg reads.
        num_frames: How many frames to look at; None for all. A file with no more frames than this
            gives all of them.
        required: Frame numbers to look at in any case; see `choose_frames`.
        preferred: Frame numbers to prefer to others of the same interval; see `choose_frames`.
        choose: Which frames to look at; by default those on screen at the middles of equal
            intervals.

    Returns:
        Media of kind `"video"`, upright as the rotation in the file says; times count from the
        first frame. Damage that was left out is said in its notes.

    Raises:
        MediaError: If the file is missing, holds no video, or no frame of it can be decoded.
        InputError: If `num_frames` is below 1.
    """
    import torch

    def chosen_of(timeline: Timeline) -> tuple[int, ...]:
        return choose(
            timeline.starts,
            duration=timeline.duration,
            num_frames=num_frames,
            required=required,
            preferred=preferred,
        )

    planned = packet_timeline(path)
    chosen = chosen_of(planned) if planned else ()
    decoded = decode_pictures(path, keep=chosen)
    timeline = decoded.timeline
    if planned is None or timeline.starts != planned.starts:
        again = chosen_of(timeline)
        if again != chosen:
            chosen, decoded = again, decode_pictures(path, keep=again)
    notes = decoded.notes
    if planned and len(timeline.starts) < len(planned.starts):
        lost = len(planned.starts) - len(timeline.starts)
        notes += (f"{lost} of {len(planned.starts)} frames could not be decoded and are left out",)
    pictures = decoded.pictures
    frames = torch.stack(
        [torch.from_numpy(pictures[index]).permute(2, 0, 1) for index in chosen]
    ).contiguous()
    height, width = frames.shape[-2:]
    return Media(
        kind="video",
        frames=frames,
        times=torch.tensor([timeline.starts[index] for index in chosen], dtype=torch.float64),
        indices=chosen,
        size=(height, width),
        duration=timeline.duration,
        total_frames=len(timeline.starts),
        source=str(path),
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one decoding pass gave.

    Args:
        pictures: RGB `[H, W, 3]` uint8 by frame number, those that were asked for.
        timeline: Of every frame that could be decoded.
        notes: What could not.
    """

    pictures: dict[int, np.ndarray]
    timeline: Timeline
    notes: tuple[str, ...]


def decode_pictures(path: str | Path, *, keep: Collection[int]) -> Decoded:
    """Decode the whole file once; keep the pictures of some frames and the stamps of all.

    Args:
        path: The file.
        keep: Frame numbers.

    Raises:
        MediaError: If the file is missing or no frame of it can be decoded.
    """
    container, stream = open_video(path)
    wanted = frozenset(keep)
    pictures: dict[int, np.ndarray] = {}
    stamps: list[int | None] = []
    notes: list[str] = []
    size: tuple[int, int] | None = None
    last_length = 0
    with container:
        for frame in decoded_frames(container, stream, notes):
            if len(stamps) in wanted:
                # Frames of a stream that changes size midway are brought to the first one's.
                size = size or (frame.height, frame.width)
                pictures[len(stamps)] = upright(frame, size, path=path)
            stamps.append(frame.pts)
            last_length = frame.duration or 0
        if not stamps:
            why = f" ({notes[0]})" if notes else ""
            raise MediaError(f"{path} has no frame that can be decoded{why}; replace the file")
        known = [stamp for stamp in stamps if stamp is not None]
        rising = all(before < after for before, after in pairwise(known))
        if len(known) == len(stamps) and rising:
            rate = stream.guessed_rate  # an average over stamps that packets lack is none
            timeline = stamped(known, stream, last_length, rate=rate, packets=False)
            return Decoded(pictures, timeline, tuple(notes))
        seconds = frame_seconds(stream)
        notes.append(f"frames carry no usable times; {1 / seconds:g} frames a second assumed")
        counted = Timeline(
            starts=tuple(number * seconds for number in range(len(stamps))),
            duration=len(stamps) * seconds,
            rate=1 / seconds,
            is_stamped=False,
        )
        return Decoded(pictures, counted, tuple(notes))
