"""Questions with a short answer in words: attributes, counts, existence, places, motion, order."""

from __future__ import annotations

from functools import partial

import numpy as np

from tpo_plugins.world.attributes import (
    COLOURS,
    HELD_OUT,
    NUMBERS,
    SHAPES,
    SIDE,
    TEXTURES,
    pairs,
)
from tpo_plugins.world.branch import Ask, Branch, eligible, pick, pick_branches, race
from tpo_plugins.world.grounding import VISIBLE
from tpo_plugins.world.language import (
    OPPOSITE,
    RELATIONS,
    Words,
    indefinite,
    refer,
    relation_holds,
)
from tpo_plugins.world.scene import Rendering, Scene

_MARGIN = 10.0
_BORDER = 0.1
_ALONG = (
    ("far left", "left", "slightly left", "middle", "slightly right", "right", "far right"),
    ("very high", "high", "slightly high", "middle", "slightly low", "low", "very low"),
)


def chat_branches(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, *, count: int
) -> list[Branch]:
    """Asks questions that are answered in words.

    Args:
        scene: The scene.
        rendering: Its drawing.
        rng: Chooses questions, objects, phrases and templates.
        count: How many branches at most.

    Returns:
        The branches, of as many kinds as the scene allows.
    """
    places = [int(place) for place in rng.permutation(eligible(scene))]
    asks: list[tuple[float, Ask]] = [
        (1.0, partial(_count, scene, rng)),
        (1.0, partial(_exists, scene, rng, places)),
    ]
    for place in places[:3]:
        about = [_colour, _shape, _texture, _size]
        image = [_side, _part, _part, _along, _along, _along, _relation, _relation]
        about += image if scene.media == "image" else [_moves]
        asks += [(0.5, partial(ask, scene, rng, place)) for ask in about]
        if scene.media == "video":
            asks += [(2.0, partial(ask, scene, rng, place)) for ask in (_direction, _becomes)]
            asks += [(0.5, partial(_end, scene, rendering, rng, place))]
            asks += [(0.7, partial(_order, scene, rendering, rng, place))]
    return pick_branches(race(asks, rng), count=count)


def _answer(kind: str, question: str, answer: str, *about: int) -> Branch:
    text = f"{answer[0].upper()}{answer[1:]}."
    return Branch(kind=kind, question=question, answer=text, about=about)


def _colour(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    item = scene.objects[place]
    name = refer(scene, place, rng, without=("colour",))
    if name is None or item.changes_colour:
        return None
    asks = (f"What colour is {name}?", f"Which colour does {name} have?")
    return _answer("colour", pick(rng, asks), item.colours[0], place)


def _shape(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng, without=("shape",))
    if name is None:
        return None
    asks = (f"What shape is {name}?", f"Which shape does {name} have?")
    return _answer("shape", pick(rng, asks), scene.objects[place].shape, place)


def _texture(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng, without=("texture",))
    if name is None:
        return None
    asks = (f"Is {name} solid, striped or dotted?", f"What texture does {name} have?")
    return _answer("texture", pick(rng, asks), scene.objects[place].texture, place)


def _size(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng, without=("size",))
    if name is None:
        return None
    asks = (f"Is {name} small or large?", f"What size is {name}?")
    return _answer("size", pick(rng, asks), scene.objects[place].size, place)


def _side(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng)
    axis = int(rng.integers(2))
    item = scene.objects[place]
    shift = item.corners[0][axis] + item.side / 2 - SIDE / 2
    if name is None or abs(shift) < _MARGIN:
        return None
    low, high = ("left", "right") if axis == 0 else ("top", "bottom")
    question = f"Is {name} on the {low} or on the {high}?"
    if axis == 1:
        question = f"Is {name} at the {low} or at the {high}?"
    return _answer("side", question, low if shift < 0 else high, place)


def _part(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks for a ninth of the picture in words, if the object's centre lies well inside one."""
    name, item = refer(scene, place, rng), scene.objects[place]
    thirds = [(corner + item.side / 2) / (SIDE / 3) for corner in item.corners[0]]
    if name is None or any(abs(third - edge) < _BORDER for third in thirds for edge in (1, 2)):
        return None
    column, row = (int(third) for third in thirds)
    words = (("top", "", "bottom")[row], ("left", "", "right")[column])
    asks = (
        f"In which part of the picture is {name}?",
        f"Roughly where is {name}?",
        f"Locate {name} in words.",
        f"Say where to find {name} in the picture.",
    )
    answer = " ".join(word for word in words if word) or "middle"
    return _answer("part", pick(rng, asks), answer, place)


def _along(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks for a seventh of the picture's width or height, if the centre lies well inside one."""
    name, axis, item = refer(scene, place, rng), int(rng.integers(2)), scene.objects[place]
    seventh = (item.corners[0][axis] + item.side / 2) / (SIDE / 7)
    if name is None or abs(seventh - round(seventh)) < _BORDER:
        return None
    way = ("How far to the left or right", "How high or low")[axis]
    return _answer("along", f"{way} is {name}?", _ALONG[axis][int(seventh)], place)


def _relation(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng)
    others = [other for other in range(len(scene.objects)) if other != place]
    anchor = others[int(rng.integers(len(others)))]
    landmark = refer(scene, anchor, rng)
    relation = pick(rng, RELATIONS)
    if relation_holds(scene, place, OPPOSITE[relation], anchor) is True and rng.random() < 0.5:
        relation = OPPOSITE[relation]
    holds = relation_holds(scene, place, relation, anchor)
    opposite = relation_holds(scene, place, OPPOSITE[relation], anchor)
    if name is None or landmark is None or not (holds or opposite):
        return None
    answer = "yes" if holds else "no"
    return _answer("relation", f"Is {name} {relation} {landmark}?", answer, place)


def _count(scene: Scene, rng: np.random.Generator) -> Branch | None:
    where = "in the picture" if scene.media == "image" else "in the video"
    what = pick(rng, ("all", "shape", "colour", "texture"))
    words = Words()
    if what == "shape":
        words = Words(shape=pick(rng, SHAPES))
    elif what == "colour" and not any(item.changes_colour for item in scene.objects):
        words = Words(colour=pick(rng, COLOURS))
    elif what == "texture":
        words = Words(texture=pick(rng, TEXTURES))
    number = sum(words.fits(item) for item in scene.objects)
    if number == 0 and rng.random() < 0.6:
        return None
    plural = f"{words.phrase()}s" if words.shape != "cross" else "crosses"
    asks = (f"How many {plural} are there?", f"How many {plural} are {where}?")
    return _answer("count", pick(rng, asks), NUMBERS[number])


def _exists(scene: Scene, rng: np.random.Generator, places: list[int]) -> Branch | None:
    shown = {(c, item.shape) for item in scene.objects for c in item.colour_words}
    where = "picture" if scene.media == "image" else "video"
    about: tuple[int, ...] = ()
    if rng.random() < 0.5:
        place = places[int(rng.integers(len(places)))]
        item = scene.objects[place]
        colour, shape = item.colours[0], item.shape
        if scene.split == "test" and (colour, shape) not in HELD_OUT:
            return None
        about = (place,)
    else:
        absent = [pair for pair in pairs(scene.split) if pair not in shown]
        if scene.split == "test":
            absent = [pair for pair in absent if pair in HELD_OUT]
        colours, shapes = {colour for colour, _ in shown}, {shape for _, shape in shown}
        near = [pair for pair in absent if pair[0] in colours or pair[1] in shapes]
        options = near if near and rng.random() < 0.6 else absent
        if not options:
            return None
        colour, shape = options[int(rng.integers(len(options)))]
    phrase = indefinite(f"{colour} {shape}")
    asks = (f"Is there {phrase}?", f"Does the {where} show {phrase}?")
    return _answer("exists", pick(rng, asks), "yes" if about else "no", *about)


def _direction(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name, direction = refer(scene, place, rng), scene.objects[place].direction
    if name is None or direction is None:
        return None
    asks = (f"In which direction does {name} move?", f"Where does {name} move?")
    return _answer("direction", pick(rng, asks), direction, place)


def _moves(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name, moves = refer(scene, place, rng), scene.objects[place].direction is not None
    if name is None:
        return None
    return _answer("moves", f"Does {name} move?", "yes" if moves else "no", place)


def _becomes(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name, item = refer(scene, place, rng), scene.objects[place]
    if name is None or not item.changes_colour:
        return None
    if rng.random() < 0.3:
        return _answer("becomes", f"What colour is {name} at first?", item.colours[0], place)
    asks = (f"What colour does {name} become?", f"What colour is {name} at the end?")
    return _answer("becomes", pick(rng, asks), item.colours[-1], place)


def _end(scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int) -> Branch | None:
    name = refer(scene, place, rng)
    visible = float(rendering.visibility[-1, place])
    if name is None or 0 < visible < VISIBLE:
        return None
    answer = "yes" if visible >= VISIBLE else "no"
    return _answer("end", f"Is {name} visible at the end?", answer, place)


def _order(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int
) -> Branch | None:
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
    return _answer("order", f"Which appears first, {names[0]} or {names[1]}?", str(first), place)
