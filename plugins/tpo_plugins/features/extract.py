"""Go through a folder of videos and write what an extractor makes of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import CheckpointError, InputError
from tpo_plugins.features.extractors import Extractor

CLIPS: Final = "clip"
TEXTS: Final = "text"
_PLAN: Final = "extractor.json"


@dataclass(slots=True)
class Extraction:
    """What came of each video.

    Args:
        written: Videos whose features were written.
        kept: How many had theirs already.
        failed: What went wrong, by video.
    """

    written: list[Path] = field(default_factory=list)
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def extract(
    videos: Sequence[Path],
    output: Path,
    extractor: Extractor,
    *,
    questions: Mapping[str, Sequence[str]] | None = None,
    progress: Callable[[Path], object] = lambda path: None,
) -> Extraction:
    """Write `output/clip/<video>.safetensors`, and `output/text/...` if questions are given.

    A video whose features are there already is passed over, so that a run that was cut short goes
    on where it was; one that cannot be used is reported and costs no other.

    Args:
        videos: Files, from `video_files`.
        output: Where to.
        extractor: What computes the features.
        questions: Questions by the video's file name without its suffix.
        progress: Called with each video that is dealt with.

    Raises:
        CheckpointError: If the extractor's own weights cannot be loaded.
        InputError: If it gives no text but questions are asked.
    """
    from tpo_heads.clip_features.writing import is_written, read_texts, write_clips, write_texts

    asked = questions or {}
    if asked and not extractor.gives_text:
        raise InputError(
            "the extractor gives no features of questions; leave the records out, or give "
            "internvideo2 its options text and tokenizer"
        )
    done = Extraction()
    for path in videos:
        stem, has_clips = path.stem, is_written(output / CLIPS, path.stem)
        try:
            known = read_texts(output / TEXTS, stem) if stem in asked else {}
            new = [question for question in asked.get(stem, ()) if question not in known]
            if not has_clips:
                rows, length = extractor.video(path)
                write_clips(output / CLIPS, stem, rows, clip_length=length)
            if new:
                known |= {question: extractor.text(question) for question in new}
                write_texts(output / TEXTS, stem, known)
        except CheckpointError:
            raise
        except InputError as error:
            done.failed[str(path)] = str(error)
        else:
            if has_clips and not new:
                done.kept += 1
            else:
                done.written.append(path)
        progress(path)
    return done


def video_files(folder: Path) -> list[Path]:
    """Return the videos of a folder at any depth, sorted.

    Raises:
        InputError: If there is none, or two are named alike: features are found by that name.
    """
    from tpo_core.media.open import VIDEO_SUFFIXES

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of the videos")
    by_stem: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
            continue
        if (other := by_stem.setdefault(path.stem, path)) != path:
            raise InputError(
                f"{other} and {path} have one name, by which features are found; rename one"
            )
    if not by_stem:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise InputError(f"{folder} holds no video; expected files of {kinds}")
    return list(by_stem.values())


def claim(output: Path, *, extractor: str, options: Mapping[str, Any]) -> None:
    """Make a folder this extractor's, or check that it is: one folder never mixes features.

    Args:
        output: The folder; made if missing.
        extractor: The extractor's name.
        options: Its options.

    Raises:
        InputError: If it holds features of another extractor, or of none that is known, or cannot
            be written.
    """
    path = output / _PLAN
    text = json.dumps({"extractor": extractor, "options": dict(options)}, indent=2) + "\n"
    try:
        claimed = path.read_text(encoding="utf-8") if path.is_file() else ""
        if claimed == text:
            return
        # A claim without features is of a run that wrote none.
        if any(next((output / kind).glob("*"), None) for kind in (CLIPS, TEXTS)):
            raise InputError(
                f"{output} holds features of another extractor or options, see {path}; give "
                "the same, or another folder"
                if claimed
                else f"{output} holds features but no {path.name} that says whose; give another "
                "folder"
            )
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
