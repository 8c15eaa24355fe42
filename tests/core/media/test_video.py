from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition

from tpo_core.errors import InputError, MediaError
from tpo_core.media.types import Media
from tpo_core.media.video import decode_video

MakeVideo = Callable[..., Path]


def shown(media: Media) -> list[int]:
    """Which frames these are, told from their grey levels (not from what the decoder says)."""
    assert media.frames is not None
    levels = media.frames[:, :, -8:, 8:-8].float().mean((1, 2, 3))
    return [round(float(level) / 10) for level in levels]


def test_frames_on_screen_at_the_middles_of_equal_intervals(make_video: MakeVideo) -> None:
    media = decode_video(make_video(frames=16, fps=4), num_frames=4)
    assert media.indices == (2, 6, 10, 14)
    assert shown(media) == [2, 6, 10, 14]
    assert media.times.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert media.times.dtype == torch.float64
    assert (media.kind, media.duration, media.total_frames) == ("video", 4.0, 16)
    assert media.size == (48, 64)
    assert media.frames is not None
    assert media.frames.dtype == torch.uint8
    assert media.frames.shape == (4, 3, 48, 64)
    assert media.notes == ()


def test_variable_frame_rate_is_sampled_by_time(make_video: MakeVideo) -> None:
    # Ten frames in the first second, then one a second: by count, most samples would be early.
    times = [index / 10 for index in range(10)] + [float(second) for second in range(1, 8)]
    media = decode_video(make_video(frames=17, fps=1, times=times), num_frames=8)
    assert media.duration == pytest.approx(8.0)
    assert shown(media) == [5, 10, 11, 12, 13, 14, 15, 16]
    assert media.times.tolist() == pytest.approx([0.5, 1, 2, 3, 4, 5, 6, 7], abs=1e-3)


def test_a_frame_on_screen_for_long_is_taken_once(make_video: MakeVideo) -> None:
    times = [0.0, 6.0, 6.2, 6.4, 6.6, 6.8, 7.0, 7.2, 7.4, 7.6]
    media = decode_video(make_video(frames=10, times=times), num_frames=4)
    assert media.indices[0] == 0
    assert len(set(media.indices)) == len(media.indices) == 2


@pytest.mark.parametrize(("frames", "num_frames"), [(1, 8), (3, 8), (8, 8), (5, None)])
def test_a_short_video_gives_all_its_frames(
    make_video: MakeVideo, frames: int, num_frames: int | None
) -> None:
    media = decode_video(make_video(frames=frames), num_frames=num_frames)
    assert shown(media) == list(range(frames))
    assert media.duration == pytest.approx(frames / 4)


@pytest.mark.parametrize(
    ("name", "format", "options"),
    [
        ("stream.h264", "h264", {}),  # no container: neither duration nor time stamps
        ("live.mkv", "matroska", {"live": "1"}),  # time stamps without a duration
        ("cast.ts", "mpegts", {}),  # time stamps that do not begin at 0
        ("fragments.mp4", "mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_a_file_without_a_duration(
    make_video: MakeVideo, name: str, format: str, options: dict[str, str]
) -> None:
    media = decode_video(make_video(name, format=format, options=options), num_frames=4)
    assert shown(media) == [2, 6, 10, 14]
    assert media.times.tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=2e-3)
    assert media.duration == pytest.approx(4.0, abs=2e-3)
    assert media.total_frames == 16


def test_raw_streams_say_that_times_are_assumed(make_video: MakeVideo) -> None:
    media = decode_video(make_video("raw.h264", format="h264"), num_frames=4)
    assert media.notes == ("frames carry no usable times; 4 frames a second assumed",)


_UPRIGHT = b"".join(
    value.to_bytes(4, "big") for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
)


@pytest.mark.parametrize(
    ("matrix", "size", "side"),
    [
        ((0, 1, 0, -1, 0, 0), (64, 48), "right"),  # a phone held upright
        ((-1, 0, 0, 0, -1, 0), (48, 64), "bottom"),
        ((0, -1, 0, 1, 0, 0), (64, 48), "left"),
    ],
)
def test_rotation_in_the_file_is_applied(
    make_video: MakeVideo, matrix: tuple[int, ...], size: tuple[int, int], side: str
) -> None:
    path = make_video(frames=2)
    turned = b"".join((value << 16).to_bytes(4, "big", signed=True) for value in matrix)
    turned += _UPRIGHT[24:]
    content = path.read_bytes()
    place = content.index(_UPRIGHT, content.index(b"tkhd"))
    path.write_bytes(content[:place] + turned + content[place + len(turned) :])
    media = decode_video(path, num_frames=2)
    assert media.size == size
    assert media.frames is not None
    picture = media.frames[0].float().mean(0)
    edges = {"right": picture[:, -4:], "bottom": picture[-4:], "left": picture[:, :4]}
    assert float(edges[side].mean()) > 200  # where the bright top bar has gone
    assert float(picture.mean()) < 100


def test_a_cut_off_tail_is_left_out_with_a_note(make_video: MakeVideo) -> None:
    path = make_video(frames=24, options={"movflags": "faststart"}, size=(96, 96))
    content = path.read_bytes()
    start = content.index(b"mdat")
    path.write_bytes(content[: start + (len(content) - start) * 7 // 10])
    media = decode_video(path, num_frames=4)
    assert 4 <= media.total_frames < 24
    assert shown(media) == list(media.indices)
    assert media.duration == pytest.approx(media.total_frames / 4)
    assert any("left out" in note or "breaks off" in note for note in media.notes)


def test_damage_in_the_middle_does_not_stop_decoding(make_video: MakeVideo) -> None:
    path = make_video("cast.ts", format="mpegts", frames=24, size=(96, 96))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(bytes(content))
    media = decode_video(path, num_frames=4)
    assert media.frames is not None
    assert len(media.frames) == 4
    assert media.duration == pytest.approx(6.0, abs=1.0)


def _audio(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))


def test_audio_alone_is_refused(tmp_path: Path) -> None:
    _audio(tmp_path / "sound.wav")
    with pytest.raises(MediaError, match=r"sound\.wav has no video stream but only audio"):
        decode_video(tmp_path / "sound.wav", num_frames=4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.mp4", "has no video stream but nothing at all"),
        ("none.mkv", "no video that can be read"),
    ],
)
def test_no_frames(make_video: MakeVideo, name: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        decode_video(make_video(name, frames=0), num_frames=4)


def test_unreadable_files(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(MediaError, match="does not exist; check the path"):
        decode_video(tmp_path / "absent.mp4", num_frames=4)
    with pytest.raises(MediaError, match="is a folder"):
        decode_video(tmp_path, num_frames=4)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match=r"no video that can be read \(it is empty\)"):
        decode_video(tmp_path / "empty.mp4", num_frames=4)
    (tmp_path / "text.mp4").write_text("this is no video " * 100)
    with pytest.raises(MediaError, match="no video that can be read"):
        decode_video(tmp_path / "text.mp4", num_frames=4)
    whole = make_video("headless.mp4")
    whole.write_bytes(whole.read_bytes()[:-600])  # its index stood at the end
    # PyAV 19 opens what is left of the index, and finds no decoder.
    with pytest.raises(MediaError, match=r"no (video that can be read|frame that can be decoded)"):
        decode_video(whole, num_frames=4)


def test_all_packets_damaged(make_video: MakeVideo) -> None:
    path = make_video(frames=4)
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    path.write_bytes(content[:start] + b"\xff" * (end - start) + content[end:])
    with pytest.raises(MediaError, match="no frame that can be decoded"):
        decode_video(path, num_frames=2)


def test_num_frames_must_be_positive(make_video: MakeVideo) -> None:
    with pytest.raises(InputError, match="num_frames is 0; expected at least 1"):
        decode_video(make_video(), num_frames=0)


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic
        clip = container.add_stream("libx264", rate=4)
        clip.width, clip.height, clip.pix_fmt = 64, 48, "yuv420p"
        white = np.full((64, 64, 3), 255, np.uint8)
        container.mux(cover.encode(av.VideoFrame.from_ndarray(white, format="rgb24")))
        container.mux(cover.encode())
        for index in range(4):
            grey = np.full((48, 64, 3), 10 * index, np.uint8)
            container.mux(clip.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(clip.encode())
    media = decode_video(path, num_frames=4)
    assert media.size == (48, 64)
    assert shown(media) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("clip.avi", "libx264", "yuv420p"),
        ("clip.webm", "libvpx-vp9", "yuv420p"),
        ("clip.mov", "prores_ks", "yuv422p10le"),
        ("clip.mkv", "ffv1", "gray"),
        ("clip.mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_other_containers_and_codecs(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for index in range(16):
            grey = np.full((48, 64, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    media = decode_video(tmp_path / name, num_frames=4)
    assert shown(media) == [2, 6, 10, 14]
    assert media.times.tolist() == pytest.approx([0.08, 0.24, 0.40, 0.56], abs=1e-3)
    assert media.duration == pytest.approx(0.64, abs=1e-3)
