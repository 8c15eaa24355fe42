"""A folder with a real clip (2 s, 8 frames, 32 x 48) and a picture, and records about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tpo_core.media.write import write_image, write_video
from tpo_core.records.rle import encode

WriteRecords = Callable[..., Path]


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    frames = torch.arange(0, 80, 10, dtype=torch.uint8)[:, None, None, None]
    write_video(folder / "clip.mp4", frames.expand(-1, 3, 32, 48), fps=4)
    write_image(folder / "picture.png", torch.full((3, 32, 48), 90, dtype=torch.uint8))
    return folder


@pytest.fixture
def folder(tmp_path: Path, media_folder: Path) -> Path:
    for name in ("clip.mp4", "picture.png"):
        (tmp_path / name).write_bytes((media_folder / name).read_bytes())
    return tmp_path


@pytest.fixture
def good() -> dict[str, Any]:
    """A record of every core task, with a prompt."""
    mask = torch.zeros(32, 48, dtype=torch.bool)
    mask[8:16, 8:24] = True
    return {
        "id": "v1",
        "media": {"type": "video", "path": "clip.mp4"},
        "branches": [
            {
                "messages": [
                    {"role": "user", "content": "When does it appear, and where?"},
                    {"role": "assistant", "content": "At <temporal>, at <region>."},
                ],
                "targets": [
                    {"task": "temporal", "spans": [[0.5, 1.5]]},
                    {"task": "region", "box": [0.1, 0.2, 0.4, 0.6]},
                ],
            },
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Track the object at <region>."},
                    {"role": "assistant", "content": "<mask>"},
                ],
                "prompts": [{"task": "region", "box": [0.1, 0.2, 0.4, 0.6], "frame": 3}],
                "targets": [{"task": "mask", "frames": {"0": encode(mask), "5": encode(mask)}}],
            },
        ],
    }


@pytest.fixture
def write_records(folder: Path) -> WriteRecords:
    """Write lines (records, or bytes as they are) to `data.jsonl` beside the media."""

    def write(*lines: dict[str, Any] | bytes, name: str = "data.jsonl") -> Path:
        path = folder / name
        path.write_bytes(
            b"".join(
                (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
                for line in lines
            )
        )
        return path

    return write
