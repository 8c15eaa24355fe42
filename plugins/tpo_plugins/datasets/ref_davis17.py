"""Ref-DAVIS17: phrases for the objects of DAVIS 2017, by two annotators in two ways.

As released: DAVIS 2017 unsupervised at 480p (`JPEGImages/480p`, `Annotations_unsupervised/480p`,
`ImageSets/2017/{train,val}.txt`) and, in `davis_text_annotations`, four text files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from tpo_core.errors import RecordError
from tpo_core.records.schema import Record
from tpo_plugins.datasets.expressions import Expression, tidy
from tpo_plugins.datasets.files import data_folder, find_file, split_files
from tpo_plugins.datasets.grouping import Group
from tpo_plugins.datasets.palettes import palette_records
from tpo_plugins.datasets.quirks import Quirks, counter
from tpo_plugins.datasets.rows import Row
from tpo_plugins.datasets.text import text_lines

FPS = 24.0
"""Frames a second of DAVIS."""

TEXTS = (
    "Davis17_annot1.txt",
    "Davis17_annot1_full_video.txt",
    "Davis17_annot2.txt",
    "Davis17_annot2_full_video.txt",
)
"""The files in the order of an object's phrases: whose, and having seen the first frame or all."""

MISSPELT = "misspelt video name: mapped to the real one"
NOT_UTF8 = "text file that is not UTF-8: read as Latin-1"

_NAMES = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
_SPLITS = {split: f"ImageSets/2017/{split}.txt" for split in ("train", "val")}


def read(
    source: str | os.PathLike[str], *, split: str | None = None, quirks: Quirks | None = None
) -> Iterator[Record | RecordError]:
    """Yield a record a video, a branch a phrase; its target is the masks of its object.

    Args:
        source: The folder that holds DAVIS and the texts.
        split: `train` or `val`; both if None.
        quirks: Filled with what was odd and how it was dealt with.

    Raises:
        InputError: If a file is missing.
    """
    root, found = data_folder(source), counter(quirks)
    files = split_files(root, _SPLITS, split=split)
    phrases = _read_phrases(root, found)
    parts = [
        palette_records(
            _groups(file, phrases, found),
            prefix=f"ref_davis17/{name}",
            root=root,
            pictures=file.parents[2] / "JPEGImages" / "480p",
            annotations=_annotations(file),
            fps=FPS,
            quirks=found,
        )
        for name, file in files.items()
    ]
    return chain(phrases.errors, *parts)


def expressions(
    source: str | os.PathLike[str], *, split: str, quirks: Quirks | None = None
) -> Iterator[Group | RecordError]:
    """Yield the phrases of each video, one row a phrase, its value an `Expression`.

    Its key is 4 * object + text, the object counted from 0 in the order of the numbers, the text
    as in `TEXTS`: evaluation takes each of the four in turn and averages.

    Raises:
        InputError: If a file is missing.
    """
    root, found = data_folder(source), counter(quirks)
    (file,) = split_files(root, _SPLITS, split=split).values()
    phrases = _read_phrases(root, found)
    return chain(phrases.errors, _groups(file, phrases, found))


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The row of each phrase, its value the text, by video, object and number of the file."""

    rows: dict[str, dict[int, dict[int, Row]]]
    errors: list[RecordError]


def _read_phrases(root: Path, quirks: Quirks) -> _Phrases:
    phrases = _Phrases({}, [])
    for number, name in enumerate(TEXTS):
        file = find_file(root, name)
        if not _is_utf8(file):
            quirks[NOT_UTF8] += 1
        for row in text_lines(file, fallback="latin-1"):
            if isinstance(row, RecordError):
                phrases.errors.append(row)
                continue
            parts: list[str] = row.value.split(maxsplit=2)
            if len(parts) < 3 or not parts[1].isdecimal() or not parts[2].strip(' ".'):
                reason = f"the line is {row.value!r}; expected a video, a number and a phrase"
                phrases.errors.append(row.error(reason))
            else:
                video = _NAMES.get(parts[0], parts[0])
                if video != parts[0]:
                    quirks[MISSPELT] += 1
                of_object = phrases.rows.setdefault(video, {}).setdefault(int(parts[1]), {})
                of_object[number] = replace(row, value=parts[2].strip().strip('"'))
    return phrases


def _is_utf8(file: Path) -> bool:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _groups(file: Path, phrases: _Phrases, quirks: Quirks) -> Iterator[Group | RecordError]:
    """Yield the videos of a list with their phrases."""
    masks = _annotations(file)
    for row in text_lines(file):
        if isinstance(row, RecordError):
            yield row
            continue
        video = row.value.strip()
        frames = tuple(sorted(path.stem for path in (masks / video).glob("*.png")))
        if not frames:
            yield row.error(f"{masks / video} holds no mask; get the unsupervised annotations")
            continue
        rows = [
            replace(
                found,
                value=Expression(
                    video=video,
                    key=str(len(TEXTS) * place + number),
                    text=tidy(found.value, quirks=quirks),
                    frames=frames,
                    objects=(object_number,),
                ),
            )
            for place, (object_number, texts) in enumerate(
                sorted(phrases.rows.get(video, {}).items())
            )
            for number, found in sorted(texts.items())
        ]
        if rows:
            yield Group(key=video, rows=rows)
        else:
            yield row.error(f"no file has a phrase for the video {video}")


def _annotations(file: Path) -> Path:
    """Return the folder of masks that belongs to a list of videos."""
    return file.parents[2] / "Annotations_unsupervised" / "480p"
