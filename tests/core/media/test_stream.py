"""Frames of a video file one after another: the same ones as at once, no more than one held."""

from __future__ import annotations

import weakref

import pytest
import torch

from tests.core.media.conftest import MakeVideo
from tpo_core.errors import MediaError
from tpo_core.media.stream import read_timeline, stream_frames
from tpo_core.media.video import decode_video


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "raw.h264"])
def test_frames_are_those_of_decoding_at_once(make_video: MakeVideo, name: str) -> None:
    path = make_video(name, frames=16, format="h264" if name == "raw.h264" else None)
    whole = decode_video(path, num_frames=None)
    timeline = read_timeline(path)
    assert timeline.is_stamped == (name != "raw.h264")
    assert timeline.starts == pytest.approx(whole.times.tolist(), abs=2e-3)
    assert timeline.duration == pytest.approx(whole.duration, abs=2e-3)
    numbers = [0, 3, 3, 4, 11, 15]
    found = list(stream_frames(path, timeline, numbers))
    assert whole.frames is not None
    assert torch.equal(torch.stack(found), whole.frames[numbers])
    assert found[1] is found[2]


def test_the_rate_is_the_declared_one(make_video: MakeVideo) -> None:
    assert read_timeline(make_video(fps=5)).rate == 5.0
    assert read_timeline(make_video("raw.h264", fps=5, format="h264")).rate == 5.0


def test_no_more_than_one_frame_is_held(make_video: MakeVideo) -> None:
    path = make_video(frames=16)
    seen: list[weakref.ref[torch.Tensor]] = []
    for frame in stream_frames(path, read_timeline(path), range(16)):
        # The loop's variable holds the frame before until this one is bound to it.
        assert sum(held() is not None for held in seen) <= 1
        seen.append(weakref.ref(frame))
    assert len(seen) == 16


def test_what_breaks_off_ends_early(make_video: MakeVideo) -> None:
    path = make_video(frames=24, options={"movflags": "faststart"}, size=(96, 96))
    timeline, content = read_timeline(path), path.read_bytes()
    start = content.index(b"mdat")
    path.write_bytes(content[: start + (len(content) - start) * 7 // 10])
    assert 4 <= len(list(stream_frames(path, timeline, range(24)))) < 24


def test_a_missing_file_is_named(make_video: MakeVideo) -> None:
    path = make_video()
    timeline = read_timeline(path)
    path.unlink()
    with pytest.raises(MediaError, match=r"clip.mp4 does not exist; check the path"):
        read_timeline(path)
    with pytest.raises(MediaError, match=r"clip.mp4 does not exist; check the path"):
        next(stream_frames(path, timeline, [0]))
