"""Draws random scenes: which objects, where and when, how they move and change colour."""

from __future__ import annotations

import math

import numpy as np

from tpo_plugins.world.attributes import (
    DIRECTIONS,
    HELD_OUT,
    SIDE,
    SIZES,
    SPLITS,
    TEXTURES,
    MediaType,
    Split,
    pairs,
)
from tpo_plugins.world.scene import Background, Scene, SceneObject

_PLACEMENTS = 60
_CLEARANCE = 0.08
_LONGEST_OCCLUSION = 4
_TARGETS = 2


def sample_scene(
    *,
    seed: int,
    split: Split,
    index: int,
    media: MediaType | None = None,
    crowd: tuple[int, int] | None = None,
) -> Scene:
    """Draws the scene of a place in a split; the same arguments give the same scene.

    Objects differ from each other in at least one attribute. In the test split the first drawn
    objects are of held-out pairs, so that there is always something to ask about.

    Args:
        seed: Seed of the world.
        split: The split.
        index: Place in the split; it does not depend on the split's size.
        media: "image" or "video"; by default images at even places, videos at odd ones.
        crowd: Least and greatest number of objects; by default 3 to 5 in images, 2 to 5 in videos.

    Returns:
        The scene.
    """
    media = media or ("image" if index % 2 == 0 else "video")
    rng = np.random.default_rng([seed, SPLITS.index(split), index, media == "video"])
    frames = 1 if media == "image" else int(rng.integers(8, 17))
    in_image, in_video = rng.integers(3, 6), rng.choice((2, 3, 4, 5), p=(0.2, 0.4, 0.3, 0.1))
    count = int(in_image if media == "image" else in_video)
    if crowd is not None:
        count = min(max(count, crowd[0]), crowd[1])
    changer = int(rng.integers(1, count)) if media == "video" and rng.random() < 0.45 else None
    objects: list[SceneObject] = []
    for order in range(count):
        drawn = _sample_object(
            rng, split=split, frames=frames, order=order, changes=order == changer, others=objects
        )
        if drawn is not None:
            objects.append(drawn)
    depth = rng.permutation(len(objects))
    return Scene(
        split=split,
        media=media,
        frames=frames,
        objects=tuple(objects[place] for place in depth),
        background=_sample_background(rng),
    )


def _sample_background(rng: np.random.Generator) -> Background:
    base = rng.uniform(30, 105)
    tints = base + rng.uniform(-28, 28, (2, 1)) + rng.uniform(-10, 10, (2, 3))
    start, end = ((int(r), int(g), int(b)) for r, g, b in np.clip(tints, 8, 125))
    return Background(
        start=start,
        end=end,
        angle=float(rng.uniform(0, 2 * math.pi)),
        noise=float(rng.uniform(0, 6)),
        seed=int(rng.integers(2**31)),
    )


def _sample_object(
    rng: np.random.Generator,
    *,
    split: Split,
    frames: int,
    order: int,
    changes: bool,
    others: list[SceneObject],
) -> SceneObject | None:
    """One more object, or None if no free place was found."""
    present = _sample_presence(rng, frames=frames, order=order, changes=changes)
    for _ in range(_PLACEMENTS):
        colour, shape = _sample_pair(rng, split=split, target=order < _TARGETS, others=others)
        colours = [colour] * frames
        if changes:
            choices = [c for c, s in pairs(split) if s == shape and c != colour]
            at = _change_frame(rng, present)
            colours[at:] = [str(rng.choice(choices))] * (frames - at)
        size = str(rng.choice(tuple(SIZES)))
        low, high = SIZES[size]
        side = int(rng.integers(low, high + 1))
        direction, corners, moving = _sample_path(rng, side=side, present=present, rest=changes)
        drawn = SceneObject(
            shape=shape,
            size=size,
            texture=str(rng.choice(TEXTURES)),
            colours=tuple(colours),
            side=side,
            corners=corners,
            present=tuple(present),
            direction=direction,
            moving=moving,
        )
        if all(_differs(drawn, other) and _apart(drawn, other) for other in others):
            return drawn
    return None


def _sample_pair(
    rng: np.random.Generator, *, split: Split, target: bool, others: list[SceneObject]
) -> tuple[str, str]:
    """A colour-shape pair; half of the time it shares a word with an object already there."""
    choices = list(pairs(split))
    if split == "test" and target:
        choices = sorted(HELD_OUT)
    if others and rng.random() < 0.5:
        other = others[int(rng.integers(len(others)))]
        alike = [p for p in choices if (p[0] in other.colour_words) or (p[1] == other.shape)]
        choices = alike or choices
    colour, shape = choices[int(rng.integers(len(choices)))]
    return colour, shape


def _sample_presence(
    rng: np.random.Generator, *, frames: int, order: int, changes: bool
) -> list[bool]:
    """Lifetime; the first object is there at the start (to be tracked), the second changes."""
    if frames == 1:
        return [True]
    if changes:
        pattern = "always"
    elif order == 0:
        pattern = str(rng.choice(("always", "early", "twice_early"), p=(0.5, 0.25, 0.25)))
    elif order == 1:
        pattern = str(rng.choice(("early", "late", "middle", "twice"), p=(0.15, 0.3, 0.3, 0.25)))
    else:
        names = ("always", "early", "late", "middle", "twice")
        pattern = str(rng.choice(names, p=(0.4, 0.15, 0.2, 0.15, 0.1)))
    present = [False] * frames
    if pattern in ("twice", "twice_early"):
        first = 0 if pattern == "twice_early" else int(rng.integers(0, frames - 6))
        stop = int(rng.integers(first + 2, frames - 3))
        again = int(rng.integers(stop + 2, frames - 1))
        last = int(rng.integers(again + 2, frames + 1))
        runs = [(first, stop), (again, last)]
    else:
        start = int(rng.integers(2, frames - 3)) if pattern in ("late", "middle") else 0
        end = int(rng.integers(start + 3, frames)) if pattern in ("early", "middle") else frames
        runs = [(start, end)]
    for begin, end in runs:
        present[begin:end] = [True] * (end - begin)
    return present


def _change_frame(rng: np.random.Generator, present: list[bool]) -> int:
    return int(rng.integers(3, len(present) - 2))


def _sample_path(
    rng: np.random.Generator, *, side: int, present: list[bool], rest: bool
) -> tuple[str | None, tuple[tuple[int, int], ...], tuple[bool, ...]]:
    """A resting place, or a straight walk in the picture during the longest time of presence."""
    frames = len(present)
    start, stop = _longest_run(present)
    shifts = np.zeros(frames, int)
    direction = None
    step_x = step_y = 0
    if stop - start >= 4 and not rest and rng.random() < 0.45:
        direction = str(rng.choice(tuple(DIRECTIONS)))
        step_x, step_y = DIRECTIONS[direction]
        steps = int(rng.integers(3, stop - start))
        begin = int(rng.integers(start, stop - steps))
        speed = int(rng.integers(4, max(5, min(9, (SIDE - side - 2) // steps + 1))))
        steps = min(steps, (SIDE - side - 2) // speed)
        shifts[begin : begin + steps] = speed
    travelled = np.concatenate([[0], np.cumsum(shifts)[:-1]])
    margin = int(travelled[-1])
    low_x, high_x = 1 + margin * (step_x < 0), SIDE - side - 1 - margin * (step_x > 0)
    low_y, high_y = 1 + margin * (step_y < 0), SIDE - side - 1 - margin * (step_y > 0)
    left, top = int(rng.integers(low_x, high_x + 1)), int(rng.integers(low_y, high_y + 1))
    corners = tuple((left + step_x * int(d), top + step_y * int(d)) for d in travelled)
    moving = tuple(bool(shift) for shift in shifts)
    return direction, corners, moving


def _longest_run(flags: list[bool]) -> tuple[int, int]:
    best, start = (0, 0), 0
    for place, flag in enumerate([*flags, False]):
        if not flag:
            best = max(best, (start, place), key=lambda run: run[1] - run[0])
            start = place + 1
    return best


def _differs(one: SceneObject, other: SceneObject) -> bool:
    same_words = (one.shape, one.size, one.texture) == (other.shape, other.size, other.texture)
    return not (same_words and one.colour_words & other.colour_words)


def _apart(one: SceneObject, other: SceneObject) -> bool:
    """Whether two objects keep clear of each other, but for a short pass of a moving one."""
    smaller = min(one.side, other.side) ** 2
    covered = 0
    for time, (present, also) in enumerate(zip(one.present, other.present, strict=True)):
        if not (present and also):
            continue
        (left, top), (other_left, other_top) = one.corners[time], other.corners[time]
        width = min(left + one.side, other_left + other.side) - max(left, other_left)
        height = min(top + one.side, other_top + other.side) - max(top, other_top)
        if max(width, 0) * max(height, 0) > _CLEARANCE * smaller:
            covered += 1
            if time == 0:
                return False
    moves = one.direction is not None or other.direction is not None
    return covered <= (_LONGEST_OCCLUSION if moves else 0)
