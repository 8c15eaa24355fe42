"""All frames of a video for heads that follow objects through it, decoded one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from tpo_core.errors import MediaError
from tpo_core.media.image import decode_image

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderFrames(Sequence["Tensor"]):
    """Frames of a video that is a folder of pictures; none is held.

    Args:
        files: The pictures, in order.
        size: (height, width) that each must have, in pixels.
    """

    files: tuple[Path, ...]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, number: int) -> Tensor: ...
    @overload
    def __getitem__(self, number: slice) -> FolderFrames: ...
    def __getitem__(self, number: int | slice) -> Tensor | FolderFrames:
        """Decode one frame, uint8 RGB `[3, H, W]`; of a slice nothing yet.

        Raises:
            IndexError: If there is no such frame.
            MediaError: If the picture cannot be decoded or is of another size.
        """
        if isinstance(number, slice):
            return replace(self, files=self.files[number])
        picture = decode_image(self.files[number])
        if picture.size != self.size:
            raise MediaError(
                f"{self.files[number]} is {picture.size[0]} x {picture.size[1]} (height x width) "
                f"but the video is {self.size[0]} x {self.size[1]}; expected frames of one size"
            )
        assert picture.frames is not None, "freshly decoded pictures have frames"
        return picture.frames[0]
