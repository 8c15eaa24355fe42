"""Objects are followed through every frame of a video, whichever frames the LLM looked at."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.heads.mask_samples import context_of, video, write_golden_sam2
from tpo_core.drawing import draw_frames
from tpo_core.errors import MediaError
from tpo_core.media.every_frame import FolderFrames
from tpo_core.media.frames_folder import frame_files
from tpo_core.media.open import open_media
from tpo_core.media.types import Media
from tpo_core.media.write import write_image
from tpo_core.records.rle import decode, encode
from tpo_core.records.schema import RegionPrompt
from tpo_core.results import EncodedMaskTrack, MaskTrack
from tpo_heads.mask.sam2_source import load_sam2
from tpo_heads.mask.tracks import track_slots

LENGTH = 11


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_sam2(write_golden_sam2(tmp_path_factory.mktemp("sam2")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    frames = video(LENGTH).frames
    assert frames is not None
    for number, frame in enumerate(frames):
        write_image(path / f"{number:05d}.png", frame)
    return path


def with_every_frame(media: Media) -> Media:
    files = tuple(frame_files(media.source))
    return replace(media, every_frame=FolderFrames(files=files, size=media.size))


def track(sam: Any, media: Media, boxes: Sequence[RegionPrompt | None]) -> list[Any]:
    prompts = torch.randn(len(boxes), 3, 32, generator=torch.Generator().manual_seed(3))
    given = [[box] if box else [] for box in boxes]
    context = context_of([media], [0] * len(boxes), given)
    return track_slots(sam, prompts, context, box_prompt="sam2", encode_batch=3)


def test_masks_equal_those_of_a_video_looked_at_whole(sam: Any, folder: Path) -> None:
    whole = open_media(folder, num_frames=None, fps=2.0)
    sampled = open_media(folder, num_frames=4, fps=2.0, required=(0,))
    assert sampled.indices[:2] == (0, 4)
    boxes = [
        RegionPrompt(box=(0.1, 0.2, 0.5, 0.7), frame=0),
        RegionPrompt(box=(0.4, 0.1, 0.9, 0.6), frame=5),
        None,
    ]
    expected = track(sam, whole, boxes)
    found = track(sam, with_every_frame(sampled), boxes)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, EncodedMaskTrack)
        assert isinstance(other, MaskTrack)
        masks = torch.stack([decode(one.frames[number]) for number in range(LENGTH)])
        assert torch.equal(masks, other.masks)
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    assert any(mask.any() for mask in expected[1].masks)


def test_a_described_object_is_prompted_on_the_first_frame_looked_at(
    sam: Any, folder: Path
) -> None:
    media = with_every_frame(open_media(folder, num_frames=2, fps=2.0))
    (found,) = track(sam, media, [None])
    first = media.indices[0]
    assert first > 0
    assert found.scores[:first] == (0.0,) * first
    assert found.scores[first] > 0


class Watched(Sequence[Tensor]):
    """Frames of which it is known how many are held at once."""

    def __init__(self, frames: Sequence[Tensor]) -> None:
        self.frames, self.alive, self.most = frames, weakref.WeakSet[Tensor](), 0

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: Any) -> Any:
        frame = self.frames[number]
        self.alive.add(frame)
        self.most = max(self.most, len(self.alive))
        return frame


def test_no_more_frames_are_held_than_are_encoded_together(sam: Any, folder: Path) -> None:
    media = with_every_frame(open_media(folder, num_frames=2, fps=2.0, required=(0,)))
    assert media.every_frame is not None
    watched = Watched(media.every_frame)
    media = replace(media, every_frame=watched)
    track(sam, media, [RegionPrompt(box=(0.1, 0.2, 0.5, 0.7), frame=0)])
    assert watched.most <= 2 * 3  # a batch, and the next that takes its place


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    for number, height in enumerate((8, 8, 10)):
        frame = torch.zeros(3, height, 12, dtype=torch.uint8)
        write_image(tmp_path / f"{number}.png", frame)
    media = with_every_frame(open_media(tmp_path, num_frames=1, fps=1.0, required=(0,)))
    assert media.every_frame is not None
    assert len(media.every_frame[1:]) == 2
    with pytest.raises(MediaError, match=r"2\.png is 10 x 12 .* but the video is 8 x 12"):
        list(media.every_frame)
    assert media.without_frames().every_frame is None


def test_encoded_masks_are_told_and_drawn_as_others() -> None:
    media = video(3)
    masks = torch.zeros(3, *media.size, dtype=torch.bool)
    masks[1:, 5:20, 7:30] = True
    plain = MaskTrack(masks, indices=(0, 1, 2), times=(0.0, 0.5, 1.0))
    encoded = EncodedMaskTrack({number: encode(mask) for number, mask in enumerate(masks)})
    assert str(encoded) == str(plain) == "a mask on 2 of 3 frames"
    assert encoded.to_json()["frames"] == plain.to_json()["frames"]
    drawn = [draw_frames(media, [("mask", track)]) for track in (plain, encoded)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], draw_frames(media, []))
