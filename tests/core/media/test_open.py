from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tpo_core.errors import InputError, MediaError
from tpo_core.media.image import decode_image
from tpo_core.media.open import open_media
from tpo_core.media.write import write_image, write_video

MakeVideo = Callable[..., Path]


def picture(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_image_is_rgb_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(picture()).save(tmp_path / "phone.png", exif=exif)
    media = decode_image(tmp_path / "phone.png")
    assert media.size == (30, 20)
    assert media.frames is not None
    expected = torch.from_numpy(np.rot90(picture(), -1).copy()).permute(2, 0, 1)
    assert torch.equal(media.frames[0], expected)
    assert (media.kind, media.duration, media.total_frames, media.indices) == (
        "image",
        0.0,
        1,
        (0,),
    )


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(picture()).convert(mode).save(path)
    media = decode_image(path)
    assert media.frames is not None
    assert media.frames.shape == (1, 3, 20, 30)


def test_sixteen_bit_grey_keeps_its_contrast(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    media = decode_image(tmp_path / "ramp.png")
    assert media.frames is not None
    assert media.frames[0, 0, 0].tolist() == list(range(256))


def test_unreadable_images(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        decode_image(tmp_path / "absent.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(MediaError, match="no picture that Pillow can read"):
        decode_image(tmp_path / "empty.png")
    Image.fromarray(picture(200, 200)).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match="cannot be decoded as a picture"):
        decode_image(tmp_path / "cut.png")
    with pytest.raises(MediaError, match="is a folder"):
        decode_image(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".xyz"])
def test_kind_of_a_path_by_suffix_or_content(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(picture()).save(path, format="png")
    assert open_media(path, num_frames=2).kind == "image"
    clip = make_video()
    assert open_media(str(clip), num_frames=2).kind == "video"
    assert open_media(clip.rename(clip.with_suffix(".xyz2")), num_frames=2).kind == "video"


@pytest.mark.parametrize("url", ["https://host/clip.mp4", "s3://bucket/a.png"])
def test_urls_are_refused(url: str) -> None:
    with pytest.raises(MediaError, match="is a URL; download the file and give its path"):
        open_media(url, num_frames=2)


def as_pil() -> Any:
    return Image.fromarray(picture())


@pytest.mark.parametrize(
    "source",
    [
        as_pil(),
        picture(),
        torch.from_numpy(picture()),
        torch.from_numpy(picture()).permute(2, 0, 1),
        picture().transpose(2, 0, 1)[:, ::1],
    ],
    ids=["pil", "array", "tensor", "channels first", "strided array"],
)
def test_pictures_in_memory(source: Any) -> None:
    media = open_media(source, num_frames=4)
    assert media.kind == "image"
    assert media.frames is not None
    assert torch.equal(media.frames[0].permute(1, 2, 0), torch.from_numpy(picture()))


@pytest.mark.parametrize("form", ["tensor", "channels last", "pil list", "array list"])
def test_frames_in_memory(form: str) -> None:
    frames = np.stack([picture() // 16 + 10 * index for index in range(10)])
    source: Any = {
        "tensor": torch.from_numpy(frames).permute(0, 3, 1, 2),
        "channels last": frames,
        "pil list": [Image.fromarray(frame) for frame in frames],
        "array list": list(frames),
    }[form]
    media = open_media(source, num_frames=5, fps=2.0)
    assert media.kind == "video"
    assert media.indices == (1, 3, 5, 7, 9)
    assert media.times.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert (media.duration, media.total_frames, media.size) == (5.0, 10, (20, 30))
    assert media.frames is not None
    assert torch.equal(media.frames[1].permute(1, 2, 0), torch.from_numpy(frames[3]))
    assert open_media(media, num_frames=1) is media


def test_frames_without_fps_say_what_is_assumed() -> None:
    media = open_media(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), num_frames=8)
    assert media.duration == 3.0
    assert "1 frame a second assumed" in media.notes[0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.rand(3, 8, 8), "torch.float32 of shape .*expected uint8 in 0..255"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), r"shape \[2, 4, 8, 8\]; expected RGB"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "none of them empty"),
        ([], "cannot read media from list"),
        ([picture(), picture(8, 8)], "all of one size"),
        (42, "cannot read media from int"),
        (None, "cannot read media from NoneType"),
    ],
)
def test_other_things_are_refused(source: Any, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        open_media(source, num_frames=4)


def test_fps_must_be_positive() -> None:
    with pytest.raises(MediaError, match="fps is 0"):
        open_media(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), num_frames=4, fps=0)


def test_written_video_reads_back(tmp_path: Path) -> None:
    ramp = torch.arange(0, 240, 20, dtype=torch.uint8)
    frames = ramp[:, None, None, None].expand(-1, 3, 32, 48)
    write_video(tmp_path / "new" / "clip.mp4", frames, fps=2.5)
    media = open_media(tmp_path / "new" / "clip.mp4", num_frames=None)
    assert media.frames is not None
    assert (media.frames.int() - frames.int()).abs().max() <= 4
    assert media.times.tolist() == pytest.approx([index / 2.5 for index in range(12)])
    assert media.duration == pytest.approx(4.8)
    write_video(tmp_path / "again.mp4", frames, fps=2.5)
    first = (tmp_path / "new" / "clip.mp4").read_bytes()
    assert (tmp_path / "again.mp4").read_bytes() == first


def test_written_image_reads_back(tmp_path: Path) -> None:
    frame = torch.from_numpy(picture()).permute(2, 0, 1)
    write_image(tmp_path / "new" / "a.png", frame)
    media = open_media(tmp_path / "new" / "a.png", num_frames=1)
    assert media.frames is not None
    assert torch.equal(media.frames[0], frame)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    frames = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(InputError, match="of even height and width"):
        write_video(tmp_path / "a.mp4", frames[..., :15], fps=4)
    with pytest.raises(InputError, match="expected uint8 RGB"):
        write_video(tmp_path / "a.mp4", frames.float(), fps=4)
    with pytest.raises(InputError, match="fps is -1"):
        write_video(tmp_path / "a.mp4", frames, fps=-1)
    with pytest.raises(InputError, match=r"cannot write .*a\.unknown"):
        write_video(tmp_path / "a.unknown", frames, fps=4)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_video(tmp_path / "file" / "a.mp4", frames, fps=4)
    with pytest.raises(InputError, match="cannot write"):
        write_image(tmp_path / "file" / "a.png", frames[0])


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".jpg", ".gif"])
def test_damage_anywhere_gives_frames_or_a_media_error(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    path = tmp_path / f"damaged{suffix}"
    if suffix in {".mp4", ".ts"}:
        whole = make_video(f"whole{suffix}").read_bytes()
    else:
        Image.fromarray(picture()).save(path)
        whole = path.read_bytes()
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(25):
        content = bytearray(whole)
        for place in random.integers(len(content), size=random.integers(1, 20)):
            content[place] = random.integers(256)
        path.write_bytes(bytes(content[: random.integers(1, 2 * len(content))]))
        try:
            media = open_media(path, num_frames=4)
        except MediaError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert media.frames is not None
            assert len(media.frames) == len(media.indices) == len(media.times) >= 1
    assert outcomes == {"refused", "read"}
