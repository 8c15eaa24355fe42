from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tpo_core.drawing import contact_sheet, draw_frames, draw_result, label_marks, save_overlay
from tpo_core.errors import InputError
from tpo_core.media.open import open_media
from tpo_core.media.types import Media
from tpo_core.records.dataset import Sample
from tpo_core.records.rle import encode
from tpo_core.records.schema import (
    Branch,
    MaskTarget,
    Message,
    Record,
    RegionPrompt,
    RegionTarget,
    Rle,
    TemporalTarget,
)
from tpo_core.results import Box, MaskTrack, Moments, Result, Span

RED = torch.tensor([0xE6, 0x19, 0x4B])  # of the first mark
BLUE = torch.tensor([0x1F, 0x9B, 0xFF])  # of the second
SCALE = 8  # 48 pixels wide, enlarged to 384


@dataclass
class Asked:
    text: str = "Where is it?"
    prompts: tuple[Any, ...] = ()


@dataclass
class Answered:
    results: list[tuple[str, Result]]
    text: str = "There."
    question: Asked = field(default_factory=Asked)


@pytest.fixture
def video() -> Media:
    return open_media(torch.full((4, 3, 32, 48), 40, dtype=torch.uint8), num_frames=4, fps=1.0)


@pytest.fixture
def image() -> Media:
    return open_media(torch.full((3, 32, 48), 40, dtype=torch.uint8), num_frames=1)


def track() -> MaskTrack:
    masks = torch.zeros(2, 32, 48, dtype=torch.bool)
    masks[:, 8:16, 8:24] = True
    return MaskTrack(masks, indices=(1, 2), times=(1.0, 2.0))


def close(pixel: Tensor, colour: Tensor, within: int = 3) -> bool:
    return bool(((pixel.int() - colour).abs() <= within).all())


def test_box_is_drawn_where_it_is(image: Media) -> None:
    (frame,) = draw_frames(image, [("region", Box(0.25, 0.25, 0.75, 0.75))])
    assert frame.shape == (3, 32 * SCALE, 48 * SCALE)
    assert frame.dtype == torch.uint8
    left, top, bottom, middle = 12 * SCALE, 8 * SCALE, 24 * SCALE, 16 * SCALE
    assert close(frame[:, middle, left], RED)
    assert close(frame[:, bottom, 24 * SCALE], RED)
    assert close(frame[:, middle, 24 * SCALE], torch.tensor([40, 40, 40]))  # not hidden
    assert close(frame[:, top - 4, left + 1], RED)  # the label's ground, above the box


def test_label_of_a_box_at_the_top_stands_below(image: Media) -> None:
    (frame,) = draw_frames(image, [("region", Box(0.0, 0.0, 0.5, 0.5))])
    assert close(frame[:, 16 * SCALE + 3, 1], RED)


def test_odd_boxes_do_not_stop_drawing(image: Media) -> None:
    for box in (Box(0.8, 0.8, 0.2, 0.2), Box(-0.5, -0.5, 1.5, 1.5), Box(0.5, 0.5, 0.5, 0.5)):
        assert draw_frames(image, [("region", box)]).shape[0] == 1


def test_masks_tint_their_own_frames_only(video: Media) -> None:
    frames = draw_frames(video, [("x", Box(0, 0, 0.1, 0.1)), ("mask", track())])
    inside = frames[:, :, 12 * SCALE, 16 * SCALE]
    grey = torch.tensor([40, 40, 40])
    assert [close(pixel, grey) for pixel in inside] == [True, False, False, True]
    assert close(inside[1], (grey + BLUE) // 2)
    assert close(frames[1][:, 8 * SCALE - 1, 16 * SCALE], BLUE)  # the outline
    assert close(frames[1][:, 20 * SCALE, 16 * SCALE], grey)


def test_frames_inside_a_moment_get_a_border(video: Media) -> None:
    moments = Moments((Span(1.0, 2.5), Span(3.0, 4.0)), count=1)
    frames = draw_frames(video, [("temporal", moments)])
    assert [close(frame[:, 0, 100], RED) for frame in frames] == [False, True, True, False]
    assert close(frames[1][:, 128, 192], torch.tensor([40, 40, 40]))


def test_given_boxes_are_white_and_on_their_frame(video: Media) -> None:
    prompt = RegionPrompt(box=(0.25, 0.25, 0.75, 0.75), frame=2)
    frames = draw_frames(video, [], prompts=[prompt])
    edge = frames[:, 0, 16 * SCALE, 12 * SCALE]
    assert edge.tolist() == [40, 40, 255, 40]


def test_large_frames_keep_their_size() -> None:
    media = open_media(torch.zeros(3, 401, 501, dtype=torch.uint8), num_frames=1)
    assert draw_frames(media, [("region", Box(0, 0, 1, 1))]).shape == (1, 3, 401, 501)


def test_media_without_frames(video: Media) -> None:
    with pytest.raises(InputError, match="came without its frames; open it again"):
        draw_frames(video.without_frames(), [])


def test_strip_has_a_timeline_for_moments(video: Media) -> None:
    plain = draw_result(video, [("mask", track())], title="Which?")
    timed = draw_result(video, [("temporal", Moments((Span(1.0, 3.0),)))], title="When?")
    assert timed.shape[0] == plain.shape[0] == 3
    assert timed.shape[1] > plain.shape[1]
    below = timed[:, plain.shape[1] - 5 :]
    # The bar stands at 1 to 3 of 4 seconds: in the middle half of the picture.
    tinted = (below[0].int() - below[1].int() > 60).any(0).nonzero().flatten().float()
    width = timed.shape[2]
    assert tinted.min() == pytest.approx(width / 4, abs=width * 0.03)
    assert tinted.max() == pytest.approx(width * 3 / 4, abs=width * 0.03)


def test_overlay_kind_follows_from_suffix_or_results(
    tmp_path: Path, video: Media, image: Media
) -> None:
    masks = Answered([("mask", track())])
    moments = Answered([("temporal", Moments((Span(0.0, 1.0),), (0.0, 1.0), (0.5, 1.0)))])
    boxes = Answered([("region", Box(0.1, 0.1, 0.5, 0.5))])
    assert save_overlay(masks, video, tmp_path / "a") == tmp_path / "a.mp4"
    assert save_overlay(moments, video, tmp_path / "b") == tmp_path / "b.png"
    assert save_overlay(boxes, image, tmp_path / "c") == tmp_path / "c.png"
    assert save_overlay(masks, video, tmp_path / "d.jpg") == tmp_path / "d.jpg"
    assert save_overlay(boxes, video, tmp_path / "e.mp4") == tmp_path / "e.mp4"
    clip = open_media(tmp_path / "a.mp4", num_frames=None)
    assert clip.size == (32 * SCALE, 48 * SCALE)
    assert (clip.total_frames, clip.duration) == (4, pytest.approx(4.0))
    assert clip.frames is not None
    pixel = clip.frames[1, :, 12 * SCALE, 16 * SCALE]
    assert close(pixel, (RED + 40) // 2, within=12)
    with pytest.raises(InputError, match="cannot write"):
        save_overlay(boxes, image, tmp_path / "a.mp4" / "f.png")


def test_overlay_of_odd_sizes_is_a_video_all_the_same(tmp_path: Path) -> None:
    media = open_media(torch.zeros(2, 3, 401, 501, dtype=torch.uint8), num_frames=2, fps=2.0)
    save_overlay(Answered([]), media, tmp_path / "odd.mp4")
    assert open_media(tmp_path / "odd.mp4", num_frames=None).size == (400, 500)


def test_labels_become_marks() -> None:
    masks = track().masks
    targets = [
        RegionTarget(box=(0.1, 0.2, 0.3, 0.4)),
        TemporalTarget(spans=[(0.0, 1.0), (2.0, 3.0)]),
        MaskTarget(frames={2: Rle(**encode(masks[0]))}),
    ]
    (_, box), (_, moments), (name, mask) = label_marks(targets)
    assert box == Box(0.1, 0.2, 0.3, 0.4)
    assert moments == Moments((Span(0.0, 1.0), Span(2.0, 3.0)), count=2)
    assert isinstance(mask, MaskTrack)
    assert (name, mask.indices) == ("mask", (2,))
    assert torch.equal(mask.masks[0], masks[0])


def test_contact_sheet(tmp_path: Path, video: Media, image: Media) -> None:
    def sample(media: Media | None, target: Any) -> Sample:
        turns = [
            Message(role="user", content="Where?"),
            Message(role="assistant", content=f"<{target.task}>"),
        ]
        return Sample(
            record=Record(id="v", branches=[Branch(messages=turns)]),
            media=media,
            targets=((target,),),
            prompts=((),),
            path="data.jsonl",
            line=1,
        )

    box, span = RegionTarget(box=(0.1, 0.2, 0.3, 0.4)), TemporalTarget(spans=[(0.0, 1.0)])
    samples = [sample(image, box), sample(video, span), sample(None, box), sample(image, box)]
    contact_sheet(samples, tmp_path / "sheet.png")
    sheet = open_media(tmp_path / "sheet.png", num_frames=1)
    assert sheet.size[1] == 1600
    with pytest.raises(InputError, match="no sample has media to draw"):
        contact_sheet([replace(samples[0], media=None)], tmp_path / "none.png")


def test_labels_of_near_boxes_do_not_hide_each_other(image: Media) -> None:
    boxes = [("true", Box(0.3, 0.4, 0.7, 0.7)), ("found", Box(0.31, 0.42, 0.72, 0.72))]
    (frame,) = draw_frames(image, boxes)
    above, below = frame[:, : int(0.4 * 256) - 2], frame[:, int(0.72 * 256) + 4 :]
    for part, colour in ((above, RED), (below, BLUE)):
        grounds = ((part.int() - colour[:, None, None]).abs() <= 3).all(0)
        assert grounds.sum() > 300
