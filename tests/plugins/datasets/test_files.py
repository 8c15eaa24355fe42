"""Annotation files and media below a data folder."""

from __future__ import annotations

import pytest
from PIL import Image

from tpo_core.errors import InputError, MediaError, UnknownName
from tpo_plugins.datasets.files import MediaFiles, find_file, locate, split_files
from tpo_plugins.datasets.sizes import media_size


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_a_file_is_found_in_the_folder_or_up_to_two_levels_below(tmp_path):
    put(tmp_path, "a/b/deep.json", "a/b/c/deeper.json", "a/second.json")
    assert find_file(tmp_path, "deep.json") == tmp_path / "a/b/deep.json"
    assert find_file(tmp_path, "first.json", "second.json") == tmp_path / "a/second.json"
    assert find_file(tmp_path, "b/deep.json") == tmp_path / "a/b/deep.json"
    with pytest.raises(InputError, match=rf"no deeper.json was found in {tmp_path} or in folders"):
        find_file(tmp_path, "deeper.json")


def test_a_file_that_is_there_twice_is_not_guessed(tmp_path):
    put(tmp_path, "old/train.json", "new/train.json")
    with pytest.raises(InputError, match=r"train\.json is there twice, .*new.* and .*old"):
        split_files(tmp_path, {"train": "train.json"}, split=None)
    put(tmp_path, "train.json")
    assert find_file(tmp_path, "train.json") == tmp_path / "train.json"


def test_splits_are_those_whose_file_is_there(tmp_path):
    put(tmp_path, "val.json", "sub/test_2.json")
    names = {"train": "train.json", "val": "val.json", "test": ("test.json", "test_2.json")}
    assert list(split_files(tmp_path, names, split=None)) == ["val", "test"]
    assert list(split_files(tmp_path, names, split="test")) == ["test"]
    with pytest.raises(InputError, match=r"no train\.json was found"):
        split_files(tmp_path, names, split="train")
    with pytest.raises(UnknownName, match="did you mean 'test'"):
        split_files(tmp_path, names, split="tests")


def test_media_are_found_by_name_whatever_their_suffix_and_folder(tmp_path):
    put(tmp_path, "z/v1.webm", "b/v1.MKV", "v2.mov.mp4", "v3.txt", "v4.jpg", "features/v5.npy")
    videos = MediaFiles(tmp_path)
    assert videos.find("v1") == "b/v1.MKV"
    assert videos.find("v2") == videos.find("v2.mov") == "v2.mov.mp4"
    assert videos.find("v3") is videos.find("v4") is videos.find("v5") is None
    assert MediaFiles(tmp_path, "image").find("v4") == "v4.jpg"


def test_media_behind_links_are_found_and_circles_end(tmp_path):
    put(tmp_path / "disk", "v1.mp4")
    put(tmp_path / "data", "train.json")
    (tmp_path / "data" / "videos").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "data")
    assert MediaFiles(tmp_path / "data").find("v1") == "videos/v1.mp4"


def test_missing_media_are_named_as_expected(tmp_path):
    put(tmp_path, "videos/other.mp4")
    assert MediaFiles(tmp_path).ref("v1", "other").path == "videos/other.mp4"
    assert MediaFiles(tmp_path).ref("v1").path == "v1.mp4"
    assert MediaFiles(tmp_path).ref("v1", default="raw/v1.avi").path == "raw/v1.avi"


def test_a_released_path_is_looked_for_in_several_folders(tmp_path):
    put(tmp_path, "data/coco/a.jpg")
    assert locate(tmp_path, "coco/a.jpg", folders=("", "data")) == "data/coco/a.jpg"
    assert locate(tmp_path, "coco/b.jpg", folders=("", "data")) == "coco/b.jpg"


def test_sizes_are_read_from_pictures_upright_and_from_the_first_frame(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "frames" / "00001.jpg", exif=exif)
    assert media_size(tmp_path / "frames" / "00001.jpg", "image") == (40, 30)
    assert media_size(tmp_path / "frames", "video") == (40, 30)
    with pytest.raises(MediaError, match="does not exist"):
        media_size(tmp_path / "none.jpg", "image")
    put(tmp_path, "empty.jpg")
    with pytest.raises(MediaError, match="is no picture that can be read"):
        media_size(tmp_path / "empty.jpg", "image")
