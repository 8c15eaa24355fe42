"""Draw an answer over its media and write it as a picture or a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from tpo_core.drawing.frames import Marks, draw_frames
from tpo_core.drawing.panels import draw_result
from tpo_core.media.image import IMAGE_SUFFIXES
from tpo_core.media.types import Media
from tpo_core.media.write import write_image, write_video
from tpo_core.results import EncodedMaskTrack, MaskTrack


class Answered(Protocol):
    """What an overlay reads of an answer; `tpo_core.inference.answer.Answer` is one."""

    @property
    def question(self) -> Any:
        """What was asked: `text`, and `prompts` with the boxes given."""

    @property
    def text(self) -> str:
        """The answer's text."""

    @property
    def results(self) -> Marks:
        """Task and result of each slot."""


def save_overlay(answer: Answered, media: Media, path: str | Path) -> Path:
    """Draw an answer over its media and write it.

    Args:
        answer: Its results are drawn, its question and text stand above a picture.
        media: The media with frames.
        path: Where to. A picture's suffix gives a picture (of a video, a film strip with a
            timeline), a video's a video; without a suffix, mask tracks of a video give an `.mp4`
            and all else a `.png`.

    Returns:
        The path written.

    Raises:
        InputError: If the media came without frames or the file cannot be written.
    """
    target = Path(path)
    if not target.suffix:
        moving = media.kind == "video" and any(
            isinstance(result, MaskTrack | EncodedMaskTrack) for _, result in answer.results
        )
        target = target.with_name(target.name + (".mp4" if moving else ".png"))
    prompts = tuple(answer.question.prompts)
    if target.suffix.lower() in IMAGE_SUFFIXES:
        title = f"{answer.question.text}\n{answer.text}"
        picture = draw_result(media, answer.results, prompts=prompts, title=title)
        write_image(target, picture)
        return target
    frames = draw_frames(media, answer.results, prompts=prompts)
    height, width = frames.shape[-2:]
    rate = len(frames) / media.duration if media.duration > 0 else 1.0
    write_video(target, frames[..., : height // 2 * 2, : width // 2 * 2], fps=rate)
    return target
