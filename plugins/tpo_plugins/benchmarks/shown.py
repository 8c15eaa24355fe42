"""What a multiple-choice question shows: a video, or some pictures. Opened when its turn comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tpo_core.media.image import decode_image
from tpo_core.media.open import open_media

if TYPE_CHECKING:
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media


PICTURES: Final = (
    "all of a question, as the frames of one video, a second each; those of unlike sizes on black "
    "of the largest height and width, at the top left; one alone as a picture"
)
"""What protocols say of `Pictures`."""


class Shown(Protocol):
    """Media that are not decoded yet; equal if they show the same."""

    def __hash__(self) -> int:
        """Return the same for what shows the same."""
        ...

    @property
    def name(self) -> str:
        """Names it, as a path if it is a file."""
        ...

    def __call__(self, choose: FrameChooser) -> Media:
        """Decode it.

        Args:
            choose: Chooses frames as the backbone wants them.

        Raises:
            MediaError: If it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class VideoFile:
    """Frames of a whole video.

    Args:
        path: The file.
        num_frames: How many frames to look at.
    """

    path: Path
    num_frames: int

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def __call__(self, choose: FrameChooser) -> Media:
        """Decode the frames that the backbone chooses."""
        return open_media(self.path, num_frames=self.num_frames, kind="video", choose=choose)


@dataclass(frozen=True, slots=True)
class Pictures:
    """A picture, or several as the frames of a video, a second each.

    Pictures of unlike sizes are put on black of the largest height and width, at the top left.

    Args:
        paths: The files, at least one, in the order they are looked at.
    """

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The path of the first."""
        return str(self.paths[0])

    def __call__(self, choose: FrameChooser) -> Media:
        """Decode them all."""
        import torch

        pictures = [decode_image(path) for path in self.paths]
        if len(pictures) == 1:
            return pictures[0]
        height, width = (max(picture.size[axis] for picture in pictures) for axis in (0, 1))
        frames = torch.zeros(len(pictures), 3, height, width, dtype=torch.uint8)
        for frame, picture in zip(frames, pictures, strict=True):
            assert picture.frames is not None, "freshly decoded pictures have frames"
            frame[:, : picture.size[0], : picture.size[1]] = picture.frames[0]
        return replace(open_media(frames, num_frames=None, fps=1.0), source=self.name)
