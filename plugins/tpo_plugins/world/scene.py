"""What a scene is, before any pixel: objects with attributes, places and lifetimes by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpo_plugins.world.attributes import FPS, HELD_OUT, MediaType, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        shape: A word of SHAPES.
        size: A word of SIZES.
        texture: A word of TEXTURES.
        colours: The colour in each frame.
        side: Width and height of the square it is inscribed in, pixels.
        corners: Left and top pixel of that square in each frame.
        present: Whether it exists in each frame (it may still be occluded).
        direction: The word of its motion, None if it rests.
        moving: Whether it shifts between frame k and frame k + 1, for each frame k.
    """

    shape: str
    size: str
    texture: str
    colours: tuple[str, ...]
    side: int
    corners: tuple[tuple[int, int], ...]
    present: tuple[bool, ...]
    direction: str | None = None
    moving: tuple[bool, ...] = ()

    @property
    def colour_words(self) -> frozenset[str]:
        """Every colour the object ever has."""
        return frozenset(self.colours)

    @property
    def changes_colour(self) -> bool:
        """Whether the object has a second colour at some time."""
        return len(self.colour_words) > 1

    @property
    def held_out(self) -> bool:
        """Whether the object is of a colour-shape pair that only the test split shows."""
        return any((colour, self.shape) in HELD_OUT for colour in self.colours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Parameters of the backdrop: a linear gradient of two colours, static grain, faint clutter.

    Attributes:
        start: RGB of one end of the gradient, 0..255.
        end: RGB of the other end, 0..255.
        angle: Direction of the gradient, radians.
        noise: Standard deviation of the static grain, grey levels.
        seed: Seed of grain and clutter.
    """

    start: tuple[int, int, int]
    end: tuple[int, int, int]
    angle: float
    noise: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture or a video, known analytically.

    Attributes:
        split: The split it belongs to.
        media: "image" (one frame) or "video".
        frames: Number of frames.
        objects: The objects, from the backmost to the frontmost.
        background: The backdrop.
    """

    split: Split
    media: MediaType
    frames: int
    objects: tuple[SceneObject, ...]
    background: Background


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """A drawn scene with dense labels; T frames of H x W pixels, N objects.

    Attributes:
        frames: uint8 [T, 3, H, W] RGB.
        owner: int8 [T, H, W], the index of the object seen at a pixel, -1 for the background.
        boxes: float32 [T, N, 4], xyxy normalised to [0, 1], of the whole object, occluded parts
            included; zeros in frames in which it is absent.
        visibility: float32 [T, N], visible area by whole area, 0 where absent.
    """

    frames: NDArray[np.uint8]
    owner: NDArray[np.int8]
    boxes: NDArray[np.float32]
    visibility: NDArray[np.float32]

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Visible mask of an object in every frame.

        Args:
            index: The object's position in `Scene.objects`.

        Returns:
            bool [T, H, W].
        """
        return np.asarray(self.owner == index)


def flags_to_spans(flags: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Turns per-frame truth into spans in seconds.

    Args:
        flags: bool [T], one per frame.

    Returns:
        (start, end) of each run of true frames; the end is that of its last frame, (k + 1) / FPS.
    """
    padded = np.concatenate([[False], flags, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [
        (float(start) / FPS, float(end) / FPS)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]
