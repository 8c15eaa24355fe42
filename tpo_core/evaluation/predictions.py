"""Check a file of predictions against the questions before it is scored.

A wrong file must not turn into a low score: ids that are not known, fields that lack, numbers that
are none, frames where seconds are meant and masks of another size are all found, and the first ten
are named at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tpo_core.errors import InputError

Kind = Literal[
    "spans",
    "scored spans",
    "span",
    "scores",
    "box",
    "normalised box",
    "boxes",
    "masks",
    "results",
    "text",
]
SHOWN: Final = 10
"""How many offenders an error names."""

# A span may end a little after its video; frames of a video end many times later, and even at two
# frames a second a quarter of all spans would end after 1.5 durations.
_LATE: Final = 1.5
_SHARE_OF_LATE: Final = 0.1

# Fractions reach a little past 1 now and then; pixels and thousandths do nearly always.
_PIXELS: Final = 1.5
_SHARE_OF_PIXELS: Final = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What a row of predictions must be.

    Args:
        fields: What each field that must be there holds. `spans`: a list of (start, end) in
            seconds; `scored spans`: with a score third; `span`: one (start, end); `scores`: a list
            of numbers; `box`: four numbers; `normalised box`: xyxy as fractions of the picture;
            `boxes`: a list of (left, top, width, height) in pixels, one a frame; `masks`: a list or
            mapping of COCO RLEs by frame, null where there is none; `results`: a list of an
            answer's results, each its `task` and what `tpo_core.results` writes; `text`: a string.
        id_fields: The fields that hold the id; it is a tuple if they are several.
        keys: What they hold for each question, by `Item.id`, where it is not that id itself.
        durations: Of the videos by what the id fields hold, in seconds, where known.
        sizes: (height, width) of the pictures by the same, in pixels, where known.
        complete: Refuse rows that lack an id.
    """

    fields: Mapping[str, Kind]
    id_fields: tuple[str, ...] = ("id",)
    keys: Mapping[str, Hashable] = field(default_factory=dict)
    durations: Mapping[Hashable, float] = field(default_factory=dict)
    sizes: Mapping[Hashable, tuple[int, int]] = field(default_factory=dict)
    complete: bool = False


def check_predictions(
    rows: Sequence[Mapping[str, Any]],
    ids: Collection[Hashable],
    expected: Expected,
    *,
    source: str = "the predictions",
    suspect_units: bool = True,
) -> dict[Hashable, Mapping[str, Any]]:
    """Return rows by id if all of them can be scored.

    A number and its text are one id.

    Spans are taken for frames if a tenth of the rows or more have one that ends after one and a
    half times the duration of its video: a model may well give a wrong span now and then. Likewise
    boxes are taken for pixels where fractions are expected, and the other way round.

    Args:
        rows: What a file of predictions holds.
        ids: Of the questions.
        expected: What a row must be.
        source: Names the file in errors.
        suspect_units: Whether many spans or boxes out of range are taken for another unit; they
            need not be where the file is known to be in the right one.

    Raises:
        InputError: If a row cannot be scored, with the first ten reasons.
    """
    by_id: dict[Hashable, Mapping[str, Any]] = {}
    problems: list[str] = []
    known = {_text(key): key for key in ids}
    name = ", ".join(expected.id_fields)
    for number, row in enumerate(rows, start=1):
        found = _id_of(row, expected.id_fields)
        key = None if found is None else known.get(_text(found))
        if found is None:
            problems.append(f"row {number} has no {name}")
        elif key is None:
            like = f" (they are like {next(iter(known.values()))!r})" if known else ""
            problems.append(f"row {number}: {found!r} is no known {name}{like}")
        elif key in by_id:
            problems.append(f"row {number}: {key!r} has a prediction already")
        else:
            by_id[key] = row
            problems.extend(f"{key!r}: {reason}" for reason in _problems_of(row, key, expected))
    if expected.complete:
        problems.extend(f"{key!r} has no prediction" for key in known.values() if key not in by_id)
    if not problems and suspect_units:
        problems = [*_frames_for_seconds(by_id, expected), *_other_units(by_id, expected)]
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InputError(f"{source} cannot be scored, {count}: {'; '.join(problems[:SHOWN])}{more}")
    return by_id


def _text(key: Hashable) -> tuple[str, ...]:
    """Return an id as texts: files differ in whether they hold 7 or "7"."""
    return tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)


def _id_of(row: Any, fields: Sequence[str]) -> Hashable | None:
    values = tuple(row.get(name) for name in fields) if isinstance(row, Mapping) else ()
    if not values or not all(isinstance(value, (str, int)) for value in values):
        return None
    return values[0] if len(values) == 1 else values


def _problems_of(row: Mapping[str, Any], key: Hashable, expected: Expected) -> Iterator[str]:
    for name, kind in expected.fields.items():
        if name not in row:
            yield f"the field {name} is missing"
        elif kind == "masks":
            yield from _wrong_masks(name, row[name], expected.sizes.get(key))
        elif kind == "results":
            yield from _wrong_results(name, row[name], expected.sizes.get(key))
        elif kind == "text":
            if not isinstance(row[name], str):
                yield f"{name} is {_short(row[name])}; expected a text"
        elif not _SHAPES[kind](row[name]):
            yield f"{name} is {_short(row[name])}; expected {_EXPECTED[kind]}"


def _numbers(value: Any, *, length: int | None = None) -> bool:
    """Tell whether a value is a list of finite numbers."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and length in (None, len(value))
        and all(
            isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)
            for x in value
        )
    )


def _tables(value: Any, *, lengths: Collection[int]) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(any(_numbers(row, length=length) for length in lengths) for row in value)
    )


_SHAPES: Final[Mapping[Kind, Callable[[Any], bool]]] = {
    "spans": lambda value: _tables(value, lengths=(2, 3)),
    "scored spans": lambda value: _tables(value, lengths=(3,)),
    "span": lambda value: _numbers(value, length=2),
    "scores": _numbers,
    "box": lambda value: _numbers(value, length=4),
    "normalised box": lambda value: _numbers(value, length=4),
    "boxes": lambda value: _tables(value, lengths=(4,)),
}
_EXPECTED: Final[Mapping[Kind, str]] = {
    "spans": "a list of [start, end] in seconds, all finite numbers",
    "scored spans": "a list of [start, end, score], all finite numbers",
    "span": "[start, end] in seconds, both finite numbers",
    "scores": "a list of finite numbers",
    "box": "four finite numbers",
    "normalised box": "[x1, y1, x2, y2] as fractions of the picture, all finite numbers",
    "boxes": "a list of [x, y, width, height] in pixels, all finite numbers",
}


def _wrong_masks(name: str, value: Any, size: tuple[int, int] | None) -> Iterator[str]:
    masks = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(masks, Mapping):
        yield f"{name} is {_short(value)}; expected a COCO RLE a frame"
        return
    for frame, rle in masks.items():
        if rle is None:
            continue
        if not (
            isinstance(rle, Mapping) and "counts" in rle and _numbers(rle.get("size"), length=2)
        ):
            yield f"{name} of frame {frame} is {_short(rle)}; expected a COCO RLE"
        elif size is not None and tuple(rle["size"]) != tuple(size):
            yield (
                f"{name} of frame {frame} has height and width {list(rle['size'])}, the picture "
                f"has {list(size)}"
            )


def _wrong_results(name: str, value: Any, size: tuple[int, int] | None) -> Iterator[str]:
    if not (isinstance(value, list) and all(isinstance(one, Mapping) for one in value)):
        yield f"{name} is {_short(value)}; expected a list of results"
        return
    for number, one in enumerate(value):
        place, task = f"{name}[{number}]", one.get("task")
        if not isinstance(task, str):
            yield f"{place} is {_short(one)}; expected its task, such as region"
        elif task == "region" and not _numbers(one.get("box"), length=4):
            yield f"{place} has box {_short(one.get('box'))}; expected four finite numbers"
        elif task == "temporal" and not _moments(one.get("spans")):
            yield f"{place} has spans {_short(one.get('spans'))}; expected start and end of each"
        elif task == "mask":
            yield from _wrong_masks(f"{place}.frames", one.get("frames"), size)


def _moments(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(span, Mapping) and _numbers([span.get("start"), span.get("end")])
        for span in value
    )


def _frames_for_seconds(
    by_id: Mapping[Hashable, Mapping[str, Any]], expected: Expected
) -> list[str]:
    """Return rows whose spans end far beyond their video, if they are too many to be errors."""
    names = [name for name, kind in expected.fields.items() if "span" in kind]
    late, timed = [], 0
    for key, row in by_id.items():
        duration = expected.durations.get(key)
        for name in names if duration is not None else ():
            spans = [row[name]] if expected.fields[name] == "span" else row[name]
            timed += bool(spans)
            span = max(spans, key=lambda each: float(each[1]), default=None)
            if span is not None and duration is not None and span[1] > _LATE * duration:
                late.append(
                    f"{key!r}: {name} has [{span[0]:g}, {span[1]:g}], the video is {duration:g} s "
                    "long; are these frames? Expected seconds"
                )
    return late if late and len(late) >= _SHARE_OF_LATE * timed else []


def _other_units(by_id: Mapping[Hashable, Mapping[str, Any]], expected: Expected) -> list[str]:
    """Return rows with pixels for fractions or fractions for pixels, if they are not just a few."""
    problems = []
    for name, kind in expected.fields.items():
        if kind == "normalised box":
            large = [key for key, row in by_id.items() if max(row[name]) > _PIXELS]
            if large and len(large) >= _SHARE_OF_PIXELS * len(by_id):
                problems += [
                    f"{key!r}: {name} is {_short(by_id[key][name])}; are these pixels, or on a "
                    "scale of 0 to 1000? Expected fractions of the picture, in [0, 1]"
                    for key in large
                ]
        elif kind == "boxes":
            most = {key: max(map(max, row[name]), default=0.0) for key, row in by_id.items()}
            small = [key for key, value in most.items() if 0 < value <= _PIXELS]
            if small and len(small) >= _SHARE_OF_PIXELS * len(by_id):
                problems += [
                    f"{key!r}: the largest number of {name} is {most[key]:g}; are these fractions "
                    "of the picture? Expected pixels"
                    for key in small
                ]
    return problems


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
