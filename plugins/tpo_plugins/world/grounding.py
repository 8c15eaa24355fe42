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
# Training asks more often for what is hard: an object by its relation, and two objects at once.
_RELATIONS: Final[dict[Split, float]] = {"train": 0.3, "val": 0.1, "test": 0.1}
_PAIRS: Final[dict[Split, float]] = {"train": 0.5, "val": 0.1, "test": 0.1}

_REGION_ASKS = ("Where is {x}?", "Locate {x}.", "Find {x} in the picture.")
_REGION_ANSWERS = ("It is at <region>.", "Here it is: <region>.", "<region>")
_PAIR_ASKS = ("Where are {x} and {y}?", "Locate {x} and {y}.")
_PAIR_ANSWERS = ("They are at <region> and <region>.", "<region> and <region>")
_MOMENT_ASKS = {
    "appear": ("When does {x} appear?", "When is {x} visible?", "At what time can {x} be seen?"),
    "move": ("When does {x} move?", "During which time is {x} moving?"),
    "coloured": ("When is {x} {colour}?", "During which time is {x} {colour}?"),
}
_MOMENT_ANSWERS = {
    "appear": ("It appears at <temporal>.", "It is visible at <temporal>.", "<temporal>"),
    "move": ("It moves at <temporal>.", "<temporal>"),
    "coloured": ("It is {colour} at <temporal>.", "<temporal>"),
}
_SEGMENT_ASKS = ("Segment {x}.", "Show the mask of {x}.", "Which pixels belong to {x}?")
_TRACK_ASKS = ("Track the object at <region>.", "Follow what is at <region> through the video.")
_MASK_ANSWERS = ("<mask>", "Here it is: <mask>.")


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
    if len(places) > 1 and rng.random() < _PAIRS[scene.split]:
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
    return Branch(
        kind=f"region_{kind}",
        question=pick(rng, _REGION_ASKS).format(x=name),
        answer=pick(rng, _REGION_ANSWERS),
        targets=({"task": "region", "box": _box(rendering, place)},),
        about=(place,),
    )


def _region_pair(
    scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int, other: int
) -> Branch | None:
    names = (refer(scene, place, rng), refer(scene, other, rng))
    if None in names:
        return None
    return Branch(
        kind="region_pair",
        question=pick(rng, _PAIR_ASKS).format(x=names[0], y=names[1]),
        answer=pick(rng, _PAIR_ANSWERS),
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
    return pick_branches(race(candidates, rng), count=count)


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
    return Branch(
        kind=kind,
        question=pick(rng, _MOMENT_ASKS[kind]).format(x=name, colour=colour),
        answer=pick(rng, _MOMENT_ANSWERS[kind]).format(colour=colour),
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
    return Branch(
        kind="segment",
        question=pick(rng, _SEGMENT_ASKS).format(x=name),
        answer=pick(rng, _MASK_ANSWERS),
        targets=(_mask_target(rendering, place),),
        about=(place,),
    )


def _track(scene: Scene, rendering: Rendering, rng: np.random.Generator, place: int) -> Branch:
    return Branch(
        kind="track",
        question=pick(rng, _TRACK_ASKS),
        answer=pick(rng, _MASK_ANSWERS),
        prompts=({"task": "region", "box": _box(rendering, place)},),
        targets=(_mask_target(rendering, place),),
        about=(place,),
    )
