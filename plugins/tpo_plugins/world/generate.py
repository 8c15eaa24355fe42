"""Draws samples (scene, pixels, questions) in memory, and whole worlds on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tpo_core.errors import InputError
from tpo_plugins.world.attributes import SPLITS, MediaType, Split
from tpo_plugins.world.branch import Branch
from tpo_plugins.world.captions import ask_caption, caption
from tpo_plugins.world.chat import chat_branches
from tpo_plugins.world.grounding import mask_branches, region_branches, temporal_branches
from tpo_plugins.world.media import write_image, write_video
from tpo_plugins.world.render import render
from tpo_plugins.world.sampling import sample_scene
from tpo_plugins.world.scene import Rendering, Scene

WORLD_VERSION: Final = 6
"""Raised whenever the same seed would give another world."""
DEFAULT_SIZES: Final[dict[str, int]] = {"train": 400, "val": 40, "test": 80}
_QUESTIONS_SALT = 7
# Reading a video costs far more than one more question about it, so training asks many.
_QUESTIONS: Final[dict[str, dict[str, int]]] = {
    "train": {"region": 16, "temporal": 12, "mask": 4, "chat": 8},
    "val": {"region": 3, "temporal": 2, "mask": 2, "chat": 2},
    "test": {"region": 3, "temporal": 2, "mask": 2, "chat": 2},
}
"""How many questions of each kind a record of a split holds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A scene, its drawing and what is asked about it.

    Attributes:
        name: Identifier in its split, such as "test_00012".
        scene: The scene.
        rendering: Its frames and dense labels.
        branches: Grounding and chat questions, as the record has them.
        caption: A request for a description and its answer.
    """

    name: str
    scene: Scene
    rendering: Rendering
    branches: tuple[Branch, ...]
    caption: Branch

    def record(self) -> dict[str, Any]:
        """The JSONL record; its media path is relative to the split's JSONL file."""
        suffix = "png" if self.scene.media == "image" else "mp4"
        path = f"{self.scene.split}/{self.name}.{suffix}"
        return {
            "id": self.name,
            "media": {"type": self.scene.media, "path": path},
            "branches": [branch.to_json() for branch in self.branches],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSummary:
    """What a world on disk holds.

    Attributes:
        folder: Its folder.
        seed: Its seed.
        version: Version of the generator.
        sizes: Records of each split.
        branches: Branches of each split by task: "region", "temporal", "mask" and "chat".
        written: False if the folder already held this world.
    """

    folder: Path
    seed: int
    version: int
    sizes: dict[str, int]
    branches: dict[str, dict[str, int]]
    written: bool

    def path(self, split: Split) -> Path:
        """The JSONL file of a split."""
        return self.folder / f"{split}.jsonl"


def draw_sample(
    *,
    seed: int,
    split: Split,
    index: int,
    media: MediaType | None = None,
    chat: int | None = None,
    crowd: tuple[int, int] | None = None,
) -> Sample:
    """Draws one sample; the same arguments give the same sample.

    Args:
        seed: Seed of the world.
        split: The split.
        index: Place in the split.
        media: "image" or "video"; by default images at even places, videos at odd ones.
        chat: How many chat questions to ask at most; by default as many as the split's records.
        crowd: Least and greatest number of objects, at least 2; by default the sampler's own.

    Returns:
        The sample.
    """
    scene = sample_scene(seed=seed, split=split, index=index, media=media, crowd=crowd)
    rendering = render(scene)
    rng = np.random.default_rng([seed, SPLITS.index(split), index, _QUESTIONS_SALT])
    most = _QUESTIONS[split]
    if scene.media == "image":
        branches = region_branches(scene, rendering, rng, count=most["region"])
    else:
        branches = temporal_branches(scene, rendering, rng, count=most["temporal"])
        branches += mask_branches(scene, rendering, rng, count=most["mask"])
    chats = most["chat"] if chat is None else chat
    branches += chat_branches(scene, rendering, rng, count=chats)
    request, text = ask_caption(scene, rng), caption(scene, rendering, rng)
    return Sample(
        name=f"{split}_{index:05d}",
        scene=scene,
        rendering=rendering,
        branches=tuple(branches),
        caption=Branch(kind="caption", question=request, answer=text),
    )


def scene_stream(
    seed: int,
    split: Split,
    *,
    start: int = 0,
    stop: int | None = None,
    media: MediaType | None = None,
    chat: int | None = None,
    crowd: tuple[int, int] | None = None,
) -> Iterator[Sample]:
    """Samples of a split in order, in memory.

    Args:
        seed: Seed of the world.
        split: The split.
        start: Place of the first sample.
        stop: Place after the last one; without it the stream never ends.
        media: "image" or "video" for samples of that type only; by default both in turn.
        chat: How many chat questions to ask of a sample at most.
        crowd: Least and greatest number of objects, at least 2; by default the sampler's own.

    Yields:
        The samples.
    """
    index = start
    while stop is None or index < stop:
        yield draw_sample(seed=seed, split=split, index=index, media=media, chat=chat, crowd=crowd)
        index += 1


def generate_world(
    folder: str | os.PathLike[str], *, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> WorldSummary:
    """Writes a world: {train,val,test}.jsonl, their media below {split}/, and world.json.

    A folder that already holds the same world is left as it is. Everything is first written beside
    the final places, and world.json last, so an interrupted run never looks like a whole world.

    Args:
        folder: Where to write; made if missing.
        seed: Seed; equal seeds give equal bytes.
        sizes: Records of each split; splits not named are left out. Default: DEFAULT_SIZES.

    Returns:
        The summary.

    Raises:
        InputError: A split is unknown or a size is below 1.
    """
    folder = Path(folder)
    wanted = _checked(DEFAULT_SIZES if sizes is None else sizes)
    summary = folder / "world.json"
    found = _read(summary)
    if found is not None and _same(found, seed=seed, sizes=wanted):
        return _summary(folder, found, written=False)
    folder.mkdir(parents=True, exist_ok=True)
    summary.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".world-", dir=folder) as name:
        draft = Path(name)
        branches = {split: _write_split(draft, seed, split, size) for split, size in wanted.items()}
        held = {"version": WORLD_VERSION, "seed": seed, "sizes": wanted, "branches": branches}
        for split in SPLITS:
            shutil.rmtree(folder / split, ignore_errors=True)
            (folder / f"{split}.jsonl").unlink(missing_ok=True)
            if split in wanted:
                os.replace(draft / split, folder / split)
                os.replace(draft / f"{split}.jsonl", folder / f"{split}.jsonl")
        (draft / "world.json").write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
        os.replace(draft / "world.json", summary)
    return _summary(folder, held, written=True)


def _checked(sizes: Mapping[str, int]) -> dict[Split, int]:
    unknown = sorted(set(sizes) - set(SPLITS))
    if unknown:
        raise InputError(f"unknown split {unknown[0]!r} in sizes: use any of {', '.join(SPLITS)}")
    for split, size in sizes.items():
        if size < 1:
            raise InputError(f"size of split {split!r} is {size}: give at least 1, or leave it out")
    return {split: int(sizes[split]) for split in SPLITS if split in sizes}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) else None


def _same(held: dict[str, Any], *, seed: int, sizes: dict[Split, int]) -> bool:
    return (held.get("version"), held.get("seed"), held.get("sizes")) == (
        WORLD_VERSION,
        seed,
        sizes,
    )


def _summary(folder: Path, held: dict[str, Any], *, written: bool) -> WorldSummary:
    return WorldSummary(
        folder=folder,
        seed=held["seed"],
        version=held["version"],
        sizes=dict(held["sizes"]),
        branches=held["branches"],
        written=written,
    )


def _write_split(folder: Path, seed: int, split: Split, size: int) -> dict[str, int]:
    (folder / split).mkdir()
    lines = [_write_sample(folder, seed, split, index) for index in range(size)]
    counts: Counter[str] = Counter(region=0, temporal=0, mask=0, chat=0)
    for line in lines:
        for branch in json.loads(line)["branches"]:
            counts[branch["targets"][0]["task"] if "targets" in branch else "chat"] += 1
    (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return dict(counts)


def _write_sample(folder: Path, seed: int, split: Split, index: int) -> str:
    sample = draw_sample(seed=seed, split=split, index=index)
    record = sample.record()
    path = folder / record["media"]["path"]
    if sample.scene.media == "image":
        write_image(path, sample.rendering.frames[0])
    else:
        write_video(path, sample.rendering.frames)
    return json.dumps(record, separators=(",", ":")) + "\n"
