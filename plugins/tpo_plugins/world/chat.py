"""Questions with a short answer in words: attributes, counts, existence, places."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from tpo_plugins.world import events
from tpo_plugins.world.attributes import (
    COLOURS,
    HELD_OUT,
    NUMBERS,
    SHAPES,
    SIDE,
    TEXTURES,
    pairs,
)
from tpo_plugins.world.branch import Ask, Branch, eligible, in_words, pick, pick_branches, race
from tpo_plugins.world.language import (
    OPPOSITE,
    RELATIONS,
    Words,
    indefinite,
    refer,
    refer_by_relation,
    relation_holds,
)
from tpo_plugins.world.scene import Rendering, Scene

_MARGIN = 10.0
_BORDER = 0.1
_RELATED = 0.25
_SENTENCES = 0.3
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
        about += image if scene.media == "image" else [events.whether_moves]
        asks += [(0.5, partial(ask, scene, rng, place)) for ask in about]
        if scene.media == "video":
            asks += [
                (2.0, partial(ask, scene, rng, place))
                for ask in (events.direction, events.colour_change)
            ]
            asks += [(0.5, partial(events.visible_at_end, scene, rendering, rng, place))]
            asks += [(0.7, partial(events.appears_first, scene, rendering, rng, place))]
    if len(places) > 1:
        asks += [
            (0.5, partial(_pair, scene, rng, places[:2], what)) for what in ("colour", "shape")
        ]
    return pick_branches(race(asks, rng), count=count)


def _name(
    scene: Scene, place: int, rng: np.random.Generator, *, without: tuple[str, ...] = ()
) -> str | None:
    """A phrase for an object; in a picture now and then by its relation to another."""
    if scene.media == "image" and rng.random() < _RELATED:
        name = refer_by_relation(scene, place, rng, without=without)
        if name is not None:
            return name
    return refer(scene, place, rng, without=without)


def _tell(rng: np.random.Generator, branch: Branch, request: str, sentence: str) -> Branch:
    """Now and then turns a question with an answer of one word into a request for a sentence."""
    if rng.random() >= _SENTENCES:
        return branch
    return replace(branch, question=f"Tell me {request}.", answer=f"{sentence}.")


def _colour(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    item = scene.objects[place]
    name = _name(scene, place, rng, without=("colour",))
    if name is None or item.changes_colour:
        return None
    asks = (f"What colour is {name}?", f"Which colour does {name} have?")
    branch = in_words("colour", pick(rng, asks), item.colours[0], place)
    return _tell(rng, branch, f"what colour {name} is", f"It is {item.colours[0]}")


def _shape(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = _name(scene, place, rng, without=("shape",))
    if name is None:
        return None
    asks = (f"What shape is {name}?", f"Which shape does {name} have?")
    shape = scene.objects[place].shape
    branch = in_words("shape", pick(rng, asks), shape, place)
    return _tell(rng, branch, f"what shape {name} is", f"It is {indefinite(shape)}")


def _texture(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = _name(scene, place, rng, without=("texture",))
    if name is None:
        return None
    asks = (f"Is {name} solid, striped or dotted?", f"What texture does {name} have?")
    texture = scene.objects[place].texture
    branch = in_words("texture", pick(rng, asks), texture, place)
    return _tell(rng, branch, f"what texture {name} has", f"It is {texture}")


def _size(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = _name(scene, place, rng, without=("size",))
    if name is None:
        return None
    asks = (f"Is {name} small or large?", f"What size is {name}?")
    size = scene.objects[place].size
    branch = in_words("size", pick(rng, asks), size, place)
    return _tell(rng, branch, f"what size {name} is", f"It is {size}")


def _pair(scene: Scene, rng: np.random.Generator, two: list[int], what: str) -> Branch | None:
    """Asks for the colours or the shapes of two objects at once."""
    items = [scene.objects[place] for place in two]
    names = [refer(scene, place, rng, without=(what,)) for place in two]
    if None in names or any(item.changes_colour for item in items):
        return None
    told = [item.colours[0] if what == "colour" else item.shape for item in items]
    question = f"What {what}s are {names[0]} and {names[1]}?"
    branch = in_words("pair", question, f"{told[0]} and {told[1]}", *two)
    both = " and ".join(indefinite(word) if what == "shape" else word for word in told)
    return _tell(rng, branch, f"what {what}s {names[0]} and {names[1]} are", f"They are {both}")


def _side(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    name = _name(scene, place, rng)
    axis = int(rng.integers(2))
    item = scene.objects[place]
    shift = item.corners[0][axis] + item.side / 2 - SIDE / 2
    if name is None or abs(shift) < _MARGIN:
        return None
    low, high = ("left", "right") if axis == 0 else ("top", "bottom")
    question = f"Is {name} on the {low} or on the {high}?"
    if axis == 1:
        question = f"Is {name} at the {low} or at the {high}?"
    return in_words("side", question, low if shift < 0 else high, place)


def _part(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks for a ninth of the picture in words, if the object's centre lies well inside one."""
    name, item = _name(scene, place, rng), scene.objects[place]
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
    branch = in_words("part", pick(rng, asks), answer, place)
    return _tell(rng, branch, f"where {name} is", f"It is {_at(answer)}")


def _at(part: str) -> str:
    return "in the middle" if part == "middle" else f"at the {part}"


def _along(scene: Scene, rng: np.random.Generator, place: int) -> Branch | None:
    """Asks for a seventh of the picture's width or height, if the centre lies well inside one."""
    name, axis, item = _name(scene, place, rng), int(rng.integers(2)), scene.objects[place]
    seventh = (item.corners[0][axis] + item.side / 2) / (SIDE / 7)
    if name is None or abs(seventh - round(seventh)) < _BORDER:
        return None
    way = ("How far to the left or right", "How high or low")[axis]
    answer = _ALONG[axis][int(seventh)]
    branch = in_words("along", f"{way} is {name}?", answer, place)
    return _tell(rng, branch, f"{way.lower()} {name} is", f"It is {answer}")


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
    return in_words("relation", f"Is {name} {relation} {landmark}?", answer, place)


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
    return in_words("count", pick(rng, asks), NUMBERS[number])


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
    return in_words("exists", pick(rng, asks), "yes" if about else "no", *about)
