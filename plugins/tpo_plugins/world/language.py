"""Referring expressions: phrases that fit exactly one object of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tpo_plugins.world.scene import Scene, SceneObject

MODIFIERS = ("size", "texture", "colour")
RELATIONS: dict[str, tuple[int, int]] = {
    "left of": (-1, 0),
    "right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_CLEARLY, _CLEARLY_NOT = 10.0, 4.0


@dataclass(frozen=True, slots=True)
class Words:
    """Attribute words of a phrase; None where the phrase leaves one open."""

    size: str | None = None
    texture: str | None = None
    colour: str | None = None
    shape: str | None = None

    def fits(self, item: SceneObject) -> bool:
        """Whether an object has all these attributes (a colour fits if it ever has it)."""
        return (
            self.size in (None, item.size)
            and self.texture in (None, item.texture)
            and (self.colour is None or self.colour in item.colour_words)
            and self.shape in (None, item.shape)
        )

    def phrase(self, noun: str = "object") -> str:
        """The words in English order, without article; `noun` stands for an open shape."""
        words = (self.size, self.texture, self.colour, self.shape or noun)
        return " ".join(word for word in words if word)


def indefinite(phrase: str) -> str:
    """Puts "a" or "an" before a phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def refer(
    scene: Scene, index: int, rng: np.random.Generator, *, without: tuple[str, ...] = ()
) -> str | None:
    """A phrase by attributes alone that fits one object only.

    Args:
        scene: The scene.
        index: The object's position in `scene.objects`.
        rng: Chooses among the phrases that fit.
        without: Attributes ("size", "texture", "colour", "shape") the phrase must not tell.

    Returns:
        For example "the small red circle", or None if no allowed phrase is unambiguous.
    """
    choices = [words for words in _phrases(scene.objects[index], without) if _unique(scene, words)]
    if not choices:
        return None
    weights = np.asarray([_appeal(words) for words in choices])
    words = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
    return f"the {words.phrase(str(rng.choice(('object', 'shape'))))}"


def refer_by_relation(
    scene: Scene, index: int, rng: np.random.Generator, *, without: tuple[str, ...] = ()
) -> str | None:
    """A phrase that needs another object as a landmark, by the places in the first frame.

    The relation holds clearly for the object (10 pixels, and more along its axis than across) and
    clearly not for any other object that its attribute words fit.

    Args:
        scene: The scene.
        index: The object's position in `scene.objects`.
        rng: Chooses among the phrases that fit.
        without: Attributes that the phrase must not tell of the object itself.

    Returns:
        For example "the small shape left of the blue square", or None.
    """
    found: list[tuple[Words, str, int]] = []
    for anchor, relation in ((a, r) for a in range(len(scene.objects)) for r in RELATIONS):
        if anchor == index or relation_holds(scene, index, relation, anchor) is not True:
            continue
        for words in _phrases(scene.objects[index], without):
            rivals = [
                other
                for other, item in enumerate(scene.objects)
                if other not in (index, anchor) and words.fits(item)
            ]
            clear = all(relation_holds(scene, o, relation, anchor) is False for o in rivals)
            if rivals and clear:
                found.append((words, relation, anchor))
    order = rng.permutation(len(found))
    for place in order:
        words, relation, anchor = found[int(place)]
        landmark = refer(scene, anchor, rng)
        if landmark is not None:
            noun = str(rng.choice(("object", "shape")))
            return f"the {words.phrase(noun)} {relation} {landmark}"
    return None


def relation_holds(scene: Scene, index: int, relation: str, anchor: int) -> bool | None:
    """Whether a relation of places holds in the first frame.

    Args:
        scene: The scene.
        index: The object said to be, for example, "left of" another.
        relation: A key of RELATIONS.
        anchor: The other object.

    Returns:
        True if clearly, False if clearly not, None if people might disagree.
    """
    along, across = _offset(scene, index, relation, anchor)
    if along >= _CLEARLY and along >= abs(across):
        return True
    return False if along <= _CLEARLY_NOT else None


def _offset(scene: Scene, index: int, relation: str, anchor: int) -> tuple[float, float]:
    (x, y), (other_x, other_y) = (_centre(scene.objects[place]) for place in (index, anchor))
    way_x, way_y = RELATIONS[relation]
    shift_x, shift_y = x - other_x, y - other_y
    return way_x * shift_x + way_y * shift_y, way_y * shift_x + way_x * shift_y


def _centre(item: SceneObject) -> tuple[float, float]:
    left, top = item.corners[0]
    return left + item.side / 2, top + item.side / 2


def _phrases(item: SceneObject, without: tuple[str, ...]) -> list[Words]:
    told = {"size": item.size, "texture": item.texture, "colour": item.colours[0]}
    allowed = [
        name
        for name in MODIFIERS
        if name not in without and not (name == "colour" and item.changes_colour)
    ]
    shapes = (None,) if "shape" in without else (item.shape, None)
    return [
        Words(**{name: told[name] for name in names}, shape=shape)
        for count in range(len(allowed) + 1)
        for names in combinations(allowed, count)
        for shape in shapes
        if names or shape
    ]


def _unique(scene: Scene, words: Words) -> bool:
    return sum(words.fits(item) for item in scene.objects) == 1


def _appeal(words: Words) -> float:
    """How often to say a phrase: people say colour and shape first, and rarely long phrases."""
    extras = (words.size is not None) + (words.texture is not None)
    return 0.5**extras
