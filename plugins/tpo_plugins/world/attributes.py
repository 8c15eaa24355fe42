"""The words of the world and what they mean in pixels: colours, shapes, textures, sizes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

Split = Literal["train", "val", "test"]
MediaType = Literal["image", "video"]

SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
SIDE: Final = 96
"""Width and height of every picture and frame, in pixels."""
FPS: Final = 2
"""Frames a second: frame k stands for the seconds [k / FPS, (k + 1) / FPS]."""

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (222, 38, 38),
    "orange": (250, 140, 20),
    "yellow": (246, 228, 50),
    "green": (40, 170, 60),
    "cyan": (60, 216, 222),
    "blue": (45, 80, 228),
    "purple": (150, 50, 190),
    "white": (245, 245, 245),
}
SHAPES: Final[tuple[str, ...]] = ("circle", "square", "triangle", "star", "diamond", "cross")
TEXTURES: Final[tuple[str, ...]] = ("solid", "striped", "dotted")
SIZES: Final[dict[str, tuple[int, int]]] = {"small": (18, 22), "large": (28, 36)}
"""Inclusive range of an object's side in pixels."""
DIRECTIONS: Final[dict[str, tuple[int, int]]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
NUMBERS: Final[tuple[str, ...]] = ("zero", "one", "two", "three", "four", "five", "six")

# Every colour misses one or two shapes and every shape one to three colours, so that each single
# word is learnt while 10 of the 48 pairs (21 %) are first seen in the test split. The pairs do not
# depend on the seed: the shipped backbone must never have seen them, whatever world a user makes.
HELD_OUT: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("red", "circle"),
        ("orange", "star"),
        ("yellow", "triangle"),
        ("green", "diamond"),
        ("cyan", "square"),
        ("blue", "cross"),
        ("purple", "triangle"),
        ("white", "star"),
        ("red", "diamond"),
        ("blue", "square"),
    }
)


@lru_cache
def pairs(split: Split) -> tuple[tuple[str, str], ...]:
    """Colour-shape pairs that may be drawn in a split.

    Args:
        split: The split; only "test" shows the held-out pairs.

    Returns:
        (colour, shape) pairs in a fixed order.
    """
    every = ((colour, shape) for colour in COLOURS for shape in SHAPES)
    return tuple(pair for pair in every if split == "test" or pair not in HELD_OUT)
