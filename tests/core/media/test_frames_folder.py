"""A folder of pictures is a video: order by name, times from fps, frame numbers kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tpo_core.errors import MediaError, RecordError
from tpo_core.media.frames_folder import frame_files
from tpo_core.media.open import open_media
from tpo_core.media.write import write_image
from tpo_core.records.dataset import load_sample
from tpo_core.records.reader import RecordFile
from tpo_core.records.rle import encode
from tpo_core.records.schema import Branch, MediaRef, Message, Record


def write_frames(folder: Path, names: list[str], *, size: tuple[int, int] = (16, 24)) -> Path:
    """Frame i is a flat picture of grey level 10 * i."""
    for index, name in enumerate(names):
        write_image(folder / name, torch.full((3, *size), 10 * index, dtype=torch.uint8))
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "clip", [f"{index:05d}.png" for index in range(12)])


def levels(media) -> list[int]:
    return (media.frames[:, 0, 0, 0] / 10).round().int().tolist()


@pytest.mark.parametrize("kind", [None, "video"])
def test_frames_are_sampled_as_of_a_video_file(clip: Path, kind) -> None:
    media = open_media(clip, num_frames=4, fps=6.0, kind=kind)
    assert (media.kind, media.total_frames, media.duration) == ("video", 12, 2.0)
    assert media.indices == (1, 4, 7, 10)
    assert levels(media) == [1, 4, 7, 10]
    assert media.times.tolist() == pytest.approx([1 / 6, 4 / 6, 7 / 6, 10 / 6])
    assert media.size == (16, 24)
    assert (media.source, media.notes) == (str(clip), ())


def test_the_same_frames_as_from_memory(clip: Path) -> None:
    whole = open_media(clip, num_frames=None, fps=3.0)
    wanted = {"num_frames": 3, "fps": 3.0, "required": {0}, "preferred": {6, 11}}
    ours, theirs = open_media(str(clip), **wanted), open_media(whole.frames, **wanted)
    assert ours.indices == theirs.indices == (0, 6, 11)
    assert torch.equal(ours.frames, theirs.frames)
    assert torch.equal(ours.times, theirs.times)


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    names = ["f_1.png", "f_2.png", "f_9.png", "f_10.png", "f_100.png"]
    folder = write_frames(tmp_path, names)
    (folder / "._f_1.png").write_bytes(b"left by a Mac")
    (folder / "notes.txt").write_text("no frame")
    (folder / "deeper").mkdir()
    assert [path.name for path in frame_files(folder)] == names
    assert levels(open_media(folder, num_frames=None, fps=1.0)) == [0, 1, 2, 3, 4]


def test_without_fps_what_is_assumed_is_said(clip: Path) -> None:
    media = open_media(clip, num_frames=2)
    assert media.duration == 12.0
    assert "1 frame a second assumed" in media.notes[0]


def test_a_folder_with_a_suffix_is_still_a_folder(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip.mp4", ["1.png", "2.png"])
    assert open_media(folder, num_frames=None, fps=1.0).total_frames == 2
    assert open_media(folder.rename(tmp_path / "clip.png"), num_frames=1, fps=1.0).kind == "video"


def test_what_is_no_folder_of_frames(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="empty is a folder without pictures; expected a video's"):
        open_media(tmp_path / "empty", num_frames=4)
    with pytest.raises(MediaError, match="absent does not exist"):
        frame_files(tmp_path / "absent")
    with pytest.raises(MediaError, match="Not a directory"):
        frame_files(clip / "00000.png")
    with pytest.raises(MediaError, match="is a folder; expected a picture"):
        open_media(clip, num_frames=4, kind="image")
    with pytest.raises(MediaError, match="fps is 0; expected a positive"):
        open_media(clip, num_frames=4, fps=0)


def test_only_the_chosen_frames_must_be_whole(clip: Path) -> None:
    (clip / "00000.png").write_bytes(b"damaged")
    assert open_media(clip, num_frames=2, fps=1.0).indices == (3, 9)
    with pytest.raises(MediaError, match=r"00000\.png is no picture"):
        open_media(clip, num_frames=2, fps=1.0, required={0})


def test_frames_of_two_sizes_are_named(clip: Path) -> None:
    write_image(clip / "00009.png", torch.zeros(3, 16, 20, dtype=torch.uint8))
    with pytest.raises(
        MediaError, match=r"00009\.png is 16 x 20 \(height x width\) but 00003\.png is 16 x 24"
    ):
        open_media(clip, num_frames=2, fps=1.0)


def write_record(path: Path, media: MediaRef, *, size: tuple[int, int] = (16, 24)) -> RecordFile:
    """A record with a mask on frame 8 and a box prompt on frame 2."""
    mask = torch.zeros(size, dtype=torch.bool)
    mask[4:8, 4:8] = True
    turns = [
        Message(role="user", content="Track <region>."),
        Message(role="assistant", content="<mask>"),
    ]
    branch = Branch(
        messages=turns,
        prompts=[{"task": "region", "box": [0.1, 0.1, 0.5, 0.5], "frame": 2}],
        targets=[{"task": "mask", "frames": {"8": encode(mask)}}],
    )
    path.write_text(Record(id="v", media=media, branches=[branch]).model_dump_json() + "\n")
    return RecordFile(path)


def test_a_record_says_the_frame_rate(clip: Path) -> None:
    file = write_record(clip.parent / "data.jsonl", MediaRef(type="video", path="clip", fps=6.0))
    sample = load_sample(file.parse(0), num_frames=2)
    assert sample.media is not None
    assert sample.media.indices == (2, 8)
    assert sample.media.times.tolist() == pytest.approx([2 / 6, 8 / 6])
    assert sample.media.duration == 2.0
    assert sample.notes == ()


def test_masks_of_another_size_than_the_frames_are_named(clip: Path) -> None:
    media = MediaRef(type="video", path="clip", fps=6.0)
    file = write_record(clip.parent / "data.jsonl", media, size=(16, 25))
    with pytest.raises(RecordError, match=r"the mask is 16 x 25 .* but the media is 16 x 24"):
        load_sample(file.parse(0), num_frames=2)


@pytest.mark.parametrize("fps", [0, -1.0, float("inf"), "fast"])
def test_frame_rates_that_are_none(fps) -> None:
    with pytest.raises(ValueError, match="fps"):
        MediaRef(type="video", path="clip", fps=fps)
