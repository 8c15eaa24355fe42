"""Open a video of which a dataset lists the frames: some to look at, all of them to segment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError
from tpo_core.media.every_frame import FolderFrames
from tpo_core.media.frames_folder import frame_files
from tpo_core.media.types import Media
from tpo_plugins.datasets.sizes import media_size

if TYPE_CHECKING:
    from tpo_core.media.sampling import FrameChooser


def open_listed(
    choose: FrameChooser, *, folder: Path, names: Sequence[str], num_frames: int, fps: float
) -> Media:
    """Open the listed pictures of a folder as a video; others in it are no frames.

    Args:
        choose: Chooses the frames that the LLM looks at; the first frame is always among them.
        folder: Holds the pictures.
        names: Those that are frames, in order, without suffix.
        num_frames: How many frames the LLM looks at.
        fps: Frames a second of the listed frames.

    Returns:
        A video whose frame numbers are places in `names`, with `every_frame`: one picture at a time
        is decoded for heads that go through all of them.

    Raises:
        MediaError: If a picture is missing, cannot be decoded or is of another size than the first.
    """
    import torch

    present = {file.stem: file for file in frame_files(folder)}
    missing = [name for name in names if name not in present]
    if missing:
        raise MediaError(
            f"frame {missing[0]} is not in {folder}, which lacks {len(missing)} of {len(names)} "
            "listed frames; get the rest of the video"
        )
    files = tuple(present[name] for name in names)
    every = FolderFrames(files=files, size=media_size(files[0], "image"))
    starts = [number / fps for number in range(len(files))]
    duration = len(files) / fps
    chosen = choose(starts, duration=duration, num_frames=num_frames, required=(0,))
    return Media(
        kind="video",
        frames=torch.stack([every[number] for number in chosen]),
        times=torch.tensor([starts[number] for number in chosen], dtype=torch.float64),
        indices=chosen,
        size=every.size,
        duration=duration,
        total_frames=len(files),
        source=str(folder),
        every_frame=every,
    )
