"""Questions about the object of a track: by its first box, and by a sentence if there is one."""

from __future__ import annotations

from pathlib import Path

from tpo_core.errors import InputError
from tpo_core.media.frames_folder import frame_files
from tpo_core.records.schema import Branch
from tpo_plugins.datasets.objects import ask_by_box, ask_by_phrase, box_target
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.sizes import media_size
from tpo_plugins.datasets.tracks import Track, first_box

SURPLUS = "video with pictures after its last box: kept as frames without a label"
LATE = "object not visible in the first frame: asked for where it first is"


def ask_to_follow(
    track: Track, folder: Path, *, name: str, quirks: Quirks, sentence: str = ""
) -> list[Branch]:
    """Return the conversations that ask for the object through the video.

    Args:
        track: Its boxes.
        folder: The pictures; they must be there, since boxes are normalised to their size.
        name: Names the branches; chooses the templates.
        quirks: Filled.
        sentence: What describes the object; empty if nothing does.

    Raises:
        InputError: If pictures are missing, or the object is visible in no frame.
    """
    pictures = frame_files(folder)
    if len(pictures) < len(track.boxes):
        raise InputError(
            f"{folder} has {len(pictures)} pictures but {len(track.boxes)} boxes; get the rest of "
            "the video"
        )
    if len(pictures) > len(track.boxes):
        quirks[SURPLUS] += 1
    boxes = track.normalised(media_size(pictures[0], "image"), quirks=quirks)
    target = box_target(boxes)
    frame, box = first_box(boxes)
    if frame > 0:
        quirks[LATE] += 1
    asked = [ask_by_box(box, frame, target, name=name)]
    return [*asked, ask_by_phrase(sentence, target, name=name)] if sentence else asked
