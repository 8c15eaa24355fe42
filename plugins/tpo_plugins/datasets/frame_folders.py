"""Videos released as folders of pictures: which frame each annotated picture is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tpo_core.errors import InputError
from tpo_core.media.frames_folder import frame_files, frame_order
from tpo_core.records.schema import MediaRef
from tpo_plugins.datasets.boxes import Size
from tpo_plugins.datasets.quirks import Quirks
from tpo_plugins.datasets.sizes import media_size

UNLISTED = "picture that no annotation lists: kept as a frame without a label"


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFolder:
    """A video that is a folder of pictures.

    Args:
        path: The folder.
        numbers: The frame number of each annotated picture by its name without suffix, in order.
        size: Of its first picture; None if the folder is not there.
    """

    path: Path
    numbers: Mapping[str, int]
    size: Size | None

    def ref(self, root: Path, *, fps: float) -> MediaRef:
        """Return it as the media of a record whose paths are relative to `root`."""
        return MediaRef(type="video", path=self.path.relative_to(root).as_posix(), fps=fps)


def frame_folder(path: Path, stems: Collection[str], *, quirks: Quirks) -> FrameFolder:
    """Find the frame number of annotated pictures: their places among all, sorted by name.

    Where the folder is not there, the annotated pictures are taken to be all there are: media that
    are missing do not stop reading.

    Args:
        path: The folder.
        stems: Names of the annotated pictures, without suffix.
        quirks: Filled.

    Raises:
        InputError: If the folder lacks an annotated picture.
    """
    if not path.is_dir():
        return FrameFolder(path=path, numbers=_numbered(sorted(stems, key=frame_order)), size=None)
    present = _numbered([file.stem for file in frame_files(path)])
    missing = sorted(set(stems) - set(present))
    if missing:
        raise InputError(
            f"frame {missing[0]} is not in {path}, which lacks {len(missing)} of {len(stems)} "
            "annotated frames; get the rest of the video"
        )
    wanted = set(stems)
    if len(present) > len(wanted):
        quirks[UNLISTED] += len(present) - len(wanted)
    numbers = {stem: number for stem, number in present.items() if stem in wanted}
    return FrameFolder(path=path, numbers=numbers, size=media_size(path, "video"))


def _numbered(stems: Collection[str]) -> dict[str, int]:
    return {stem: number for number, stem in enumerate(stems)}
