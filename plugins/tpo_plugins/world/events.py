"""Questions about what happens in a video, answered in words: motion, change, order."""

from __future__ import annotations

import numpy as np

from tpo_plugins.world.branch import Branch, in_words, pick
from tpo_plugins.world.grounding import VISIBLE
from tpo_plugins.world.language import refer
from tpo_plugins.world.scene import Rendering, Scene


def direction(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks which way an object moves."""
    name, direction = refer(scene, place, rng), scene.objects[place].direction
    if name is None or direction is None:
        return None
    asks = (f"In which direction does {name} move?", f"Where does {name} move?")
    return in_words("direction", pick(rng, asks), direction, place)


def whether_moves(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks whether an object moves."""
    name, moves = refer(scene, place, rng), scene.objects[place].direction is not None
    if name is None:
        return None
    return in_words("moves", f"Does {name} move?", "yes" if moves else "no", place)


def colour_change(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks for the first or the last colour of an object that changes it."""
    name, item = refer(scene, place, rng), scene.objects[place]
    if name is None or not item.changes_colour:
        return None
    if rng.random() < 0.3:
        return in_words("becomes", f"What colour is {name} at first?", item.colours[0], place)
    asks = (f"What colour does {name} become?", f"What colour is {name} at the end?")
    return in_words("becomes", pick(rng, asks), item.colours[-1], place)


def visible_at_end(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int
) -> Branch | None:
    """Asks whether an object can be seen in the last frame."""
    name = refer(scene, place, rng)
    visible = float(rendering.visibility[-1, place])
    if name is None or 0 < visible < VISIBLE:
        return None
    answer = "yes" if visible >= VISIBLE else "no"
    return in_words("end", f"Is {name} visible at the end?", answer, place)


def appears_first(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int
) -> Branch | None:
    """Asks which of two objects is seen first."""
    firsts = [int(np.argmax(column >= VISIBLE)) for column in rendering.visibility.T]
    others = [o for o in range(len(firsts)) if abs(firsts[o] - firsts[place]) >= 2]
    if not others:
        return None
    other = others[int(rng.integers(len(others)))]
    pair = (place, other) if rng.random() < 0.5 else (other, place)
    names = [refer(scene, index, rng) for index in pair]
    if None in names:
        return None
    first = names[int(firsts[pair[1]] < firsts[pair[0]])]
    return in_words("order", f"Which appears first, {names[0]} or {names[1]}?", str(first), place)
