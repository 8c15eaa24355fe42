"""Questions whose answers are boxes, moments or masks."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from tpo_plugins.world.attributes import FPS, Split
from tpo_plugins.world.branch import Ask, Branch, eligible, pick, pick_branches, race
from tpo_plugins.world.language import refer, refer_by_relation
from tpo_plugins.world.scene import Rendering, Scene, flags_to_spans

VISIBLE = 0.3
"""An object counts as visible in a frame from this visible fraction on."""
_TRACKABLE = 0.75
_SHORTEST_RUN = 2
# Training asks more often for what is hard: an object by its relation, and two objects at once; and
# again in other words for a moment, of which a video has few.
_RELATIONS: Final[dict[Split, float]] = {"train": 0.3, "val": 0.1, "test": 0.1}
_PAIRS: Final[dict[Split, tuple[int, float]]] = {
    "train": (3, 0.8),
    "val": (1, 0.1),
    "test": (1, 0.1),
}
"""How often at most two objects are asked for at once, and the chance of each time."""
_PHRASINGS: Final[dict[Split, int]] = {"train": 4, "val": 1, "test": 1}
"""How often at most the same moment is asked for."""

# Each way to ask has its own way to answer: a choice between answers could not be learnt.
_REGION = (
    ("Where is {x}?", "It is at <region>."),
    ("Locate {x}.", "Here it is: <region>."),
    ("Find {x} in the picture.", "<region>"),
)
_PAIR = (
    ("Where are {x} and {y}?", "They are at <region> and <region>."),
    ("Locate {x} and {y}.", "<region> and <region>"),
)
_MOMENT = {
    "appear": (
        ("When does {x} appear?", "It appears at <temporal>."),
        ("When is {x} visible?", "It is visible at <temporal>."),
        ("At what time can {x} be seen?", "<temporal>"),
    ),
    "move": (
        ("When does {x} move?", "It moves at <temporal>."),
        ("During which time is {x} moving?", "<temporal>"),
    ),
    "coloured": (
        ("When is {x} {colour}?", "It is {colour} at <temporal>."),
        ("During which time is {x} {colour}?", "<temporal>"),
    ),
}
_SEGMENT = (
    ("Segment {x}.", "<mask>"),
    ("Show the mask of {x}.", "Here it is: <mask>."),
    ("Which pixels belong to {x}?", "<mask>"),
)
_TRACK = (
    ("Track the object at <region>.", "<mask>"),
    ("Follow what is at <region> through the video.", "Here it is: <mask>."),
)


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO compressed run lengths of a mask.

    Args:
        mask: bool [H, W].

    Returns:
        {"size": [H, W], "counts": text}.
    """
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}


def region_branches(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, *, count: int
) -> list[Branch]:
    """Asks for boxes of objects in an image, by attributes or by relation to another object.

    Args:
        scene: An image scene.
        rendering: Its drawing.
        rng: Chooses objects, phrases and templates.
        count: How many branches at most.

    Returns:
        The branches; a few ask for two objects at once.
    """
    places = [p for p in eligible(scene) if rendering.visibility[0, p] >= _TRACKABLE]
    asks: list[Ask] = []
    times, chance = _PAIRS[scene.split]
    for _ in range(times if len(places) > 1 else 0):
        if rng.random() < chance:
            two = rng.permutation(places)[:2]
            asks.append(partial(_region_pair, scene, rendering, rng, int(two[0]), int(two[1])))
    for _ in range(count):
        asks += [partial(_region, scene, rendering, rng, int(p)) for p in rng.permutation(places)]
    return pick_branches(asks, count=count)


def _box(rendering: Rendering, place: int) -> list[float]:
    return [round(float(edge), 5) for edge in rendering.boxes[0, place]]


def _region(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int
) -> Branch | None:
    name = refer_by_relation(scene, place, rng) if rng.random() < _RELATIONS[scene.split] else None
    kind = "relation" if name else "attributes"
    name = name or refer(scene, place, rng)
    if name is None:
        return None
    question, answer = pick(rng, _REGION)
    return Branch(
        kind=f"region_{kind}",
        question=question.format(x=name),
        answer=answer,
        targets=({"task": "region", "box": _box(rendering, place)},),
        about=(place,),
    )


def _region_pair(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int, other: int
) -> Branch | None:
    names = (refer(scene, place, rng), refer(scene, other, rng))
    if None in names:
        return None
    question, answer = pick(rng, _PAIR)
    return Branch(
        kind="region_pair",
        question=question.format(x=names[0], y=names[1]),
        answer=answer,
        targets=tuple({"task": "region", "box": _box(rendering, p)} for p in (place, other)),
        about=(place, other),
    )


def temporal_branches(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, *, count: int
) -> list[Branch]:
    """Asks when an object is visible, moves, or has a colour.

    Args:
        scene: A video scene.
        rendering: Its drawing.
        rng: Chooses objects, phrases and templates.
        count: How many branches at most.

    Returns:
        The branches. Saliency is the visible fraction in the frames of the moment, 0 outside.
    """
    asks: list[Ask] = []
    for _ in range(_PHRASINGS[scene.split]):
        asks += race(_moments(scene, rendering, rng), rng)
    return pick_branches(asks, count=count)


def _moments(
    scene: Scene, rendering: Rendering, rng: np.random.Generator
) -> list[tuple[float, Ask]]:
    """What may be asked about an object's times, with weights for `race`."""
    candidates: list[tuple[float, Ask]] = []
    for place in eligible(scene):
        item = scene.objects[place]
        visible = rendering.visibility[:, place] >= VISIBLE
        if not item.changes_colour and not visible.all():
            candidates.append(
                (5.0, partial(_moment, scene, rendering, rng, place, "appear", visible))
            )
        if item.direction is not None:
            flags = visible & np.asarray(item.moving)
            candidates.append((2.0, partial(_moment, scene, rendering, rng, place, "move", flags)))
        if item.changes_colour:
            word = item.colours[0] if rng.random() < 0.5 else item.colours[-1]
            flags = visible & np.asarray([colour == word for colour in item.colours])
            ask = partial(_moment, scene, rendering, rng, place, "coloured", flags, word)
            candidates.append((3.0, ask))
    return candidates


def _moment(
    scene: Scene,
    rendering: Rendering,
    rng: np.random.Generator,
    place: int,
    kind: str,
    flags: NDArray[np.bool_],
    colour: str = "",
) -> Branch | None:
    name = refer(scene, place, rng)
    if name is None or not _clean(flags):
        return None
    scores = np.where(flags, np.clip(rendering.visibility[:, place], 0, 1), 0)
    target = {
        "task": "temporal",
        "spans": [list(span) for span in flags_to_spans(flags)],
        "saliency": {
            "times": [frame / FPS for frame in range(scene.frames)],
            "scores": [round(float(score), 3) for score in scores],
        },
    }
    question, answer = pick(rng, _MOMENT[kind])
    return Branch(
        kind=kind,
        question=question.format(x=name, colour=colour),
        answer=answer.format(colour=colour),
        targets=(target,),
        about=(place,),
    )


def _clean(flags: NDArray[np.bool_]) -> bool:
    """Whether there is a moment, and no moment or gap between two is shorter than two frames."""
    spans = flags_to_spans(flags)
    shortest = _SHORTEST_RUN / FPS
    gaps = (after[0] - before[1] for before, after in pairwise(spans))
    lasting = all(end - start >= shortest for start, end in spans)
    return bool(spans) and lasting and all(gap >= shortest for gap in gaps)


def mask_branches(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, *, count: int
) -> list[Branch]:
    """Asks for masks through a video, by phrase and by the box in the first frame in turn.

    Args:
        scene: A video scene.
        rendering: Its drawing.
        rng: Chooses objects, phrases and templates.
        count: How many branches at most.

    Returns:
        The branches; their objects are visible in frame 0, their masks cover every frame (empty
        where the object is unseen).
    """
    places = [p for p in eligible(scene) if rendering.visibility[0, p] >= _TRACKABLE]
    order = [int(place) for place in rng.permutation(places)]
    asks: list[Ask] = []
    for turn, place in enumerate(order * 2):
        ask = _segment if turn % 2 == 0 else _track
        asks.append(partial(ask, scene, rendering, rng, place))
    if rng.random() < 0.5:
        asks = asks[1:]
    return pick_branches(asks, count=count)


def _mask_target(rendering: Rendering, place: int) -> dict[str, Any]:
    frames = {str(time): encode_mask(mask) for time, mask in enumerate(rendering.mask(place))}
    return {"task": "mask", "frames": frames}


def _segment(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int
) -> Branch | None:
    name = refer(scene, place, rng)
    if name is None:
        return None
    question, answer = pick(rng, _SEGMENT)
    return Branch(
        kind="segment",
        question=question.format(x=name),
        answer=answer,
        targets=(_mask_target(rendering, place),),
        about=(place,),
    )


def _track(scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int) -> Branch:
    question, answer = pick(rng, _TRACK)
    return Branch(
        kind="track",
        question=question,
        answer=answer,
        prompts=({"task": "region", "box": _box(rendering, place)},),
        targets=(_mask_target(rendering, place),),
        about=(place,),
    )
