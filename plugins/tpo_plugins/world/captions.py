"""Descriptions of a scene in a few sentences, without any coordinate or time, for pretraining."""

from __future__ import annotations

import numpy as np

from tpo_plugins.world.attributes import NUMBERS, SIDE
from tpo_plugins.world.branch import pick
from tpo_plugins.world.language import RELATIONS, indefinite, refer, relation_holds
from tpo_plugins.world.scene import Rendering, Scene, SceneObject

ASKS = ("Describe the {media}.", "What does the {media} show?", "Tell me what you see.")


def caption(scene: Scene, rendering: Rendering, rng: np.random.Generator) -> str:
    """Tells how many objects there are, what each is and does from left to right, and one relation.

    Args:
        scene: The scene.
        rendering: Its drawing.
        rng: Chooses the relation and the words.

    Returns:
        For example "There are three objects. A small red circle moves left. ...".
    """
    number = len(scene.objects)
    sentences = [f"There are {NUMBERS[number]} objects."]
    ordered = sorted(scene.objects, key=lambda item: item.corners[0][0] + item.side / 2)
    sentences += [_sentence(item) for item in ordered]
    if scene.media == "image":
        relation = _relation(scene, rng)
        sentences += [relation] if relation else []
    return " ".join(sentences)


def _sentence(item: SceneObject) -> str:
    words = f"{item.size} {item.texture} {item.colours[0]} {item.shape}"
    subject = indefinite(words).capitalize()
    deeds: list[str] = []
    if not item.present[0]:
        deeds.append("appears later")
    if item.direction is not None:
        deeds.append(f"moves {item.direction}")
    if item.changes_colour:
        deeds.append(f"becomes {item.colours[-1]}")
    if item.present[0] and not all(item.present) and item.present[-1]:
        deeds.append("vanishes and comes back")
    if not item.present[-1]:
        deeds.append("vanishes")
    if not deeds:
        deeds.append(_rest(item))
    return f"{subject} {', then '.join(deeds)}."


def _rest(item: SceneObject) -> str:
    """Where a resting object is, in one coarse word for each axis."""
    left, top = item.corners[0]
    third = SIDE / 3
    column = int((left + item.side / 2) // third)
    row = int((top + item.side / 2) // third)
    words = [("top", "", "bottom")[row], ("left", "", "right")[column]]
    place = " ".join(word for word in words if word) or "middle"
    return f"is at the {place}"


def _relation(scene: Scene, rng: np.random.Generator) -> str | None:
    pairs = [
        (one, relation, other)
        for one in range(len(scene.objects))
        for other in range(len(scene.objects))
        for relation in RELATIONS
        if one != other and relation_holds(scene, one, relation, other) is True
    ]
    if not pairs:
        return None
    one, relation, other = pairs[int(rng.integers(len(pairs)))]
    name, landmark = refer(scene, one, rng), refer(scene, other, rng)
    if name is None or landmark is None:
        return None
    return f"{name.capitalize()} is {relation} {landmark}."


def ask_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A request for a description."""
    return pick(rng, ASKS).format(media="picture" if scene.media == "image" else "video")
