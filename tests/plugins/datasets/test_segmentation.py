"""MeViS, SA-V, Ref-YouTube-VOS and Ref-DAVIS17 in their released layouts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.plugins.datasets.released import (
    SIZE,
    Found,
    block,
    decode,
    encode,
    question,
    same,
    write_json,
    write_palette,
    write_picture,
    write_text,
)
from tpo_core import registry
from tpo_core.errors import InputError, RecordError, UnknownName
from tpo_core.media.write import write_video
from tpo_plugins.datasets import mevis, ref_davis17, ref_youtube_vos, sa_v
from tpo_plugins.datasets.expressions import OF_TEST, RESPELT, UNSORTED
from tpo_plugins.datasets.frame_folders import UNLISTED
from tpo_plugins.datasets.palettes import UNJUDGED

EMPTY = np.zeros(SIZE, np.bool_)
LEFT, RIGHT = block(2, 1), block(2, 9)


def frames_of(record: Any, branch: int = 0) -> dict[int, Any]:
    return decode(record.branches[branch].targets[0]["frames"])


# MeViS


@pytest.fixture
def mevis_folder(tmp_path: Path) -> Path:
    """Two videos; the first lists its frames out of order."""
    expressions = {
        "0": {"exp": "The two  dogs that run\n left", "obj_id": [0, 2], "anno_id": [11, 13]},
        "1": {"exp": "the dog that stops", "obj_id": [0], "anno_id": [11]},
    }
    videos = {
        "0a1b2c": {"frames": ["00010", "00000", "00005"], "expressions": expressions},
        "short": {"frames": ["00000"], "expressions": expressions},
    }
    write_json(tmp_path / "train/meta_expressions.json", {"videos": videos})
    masks = {
        "11": [encode(LEFT), None, encode(EMPTY)],
        "13": [encode(RIGHT), encode(RIGHT), None],
    }
    write_json(tmp_path / "train/mask_dict.json", masks)
    for stem in ("00000", "00005", "00010"):
        write_picture(tmp_path / f"train/JPEGImages/0a1b2c/{stem}.jpg")
    return tmp_path


def test_mevis_masks_are_the_union_of_all_annotations(mevis_folder: Path) -> None:
    found = Found("mevis", mevis_folder)
    assert not found.errors
    (record,) = found.records
    assert record.id == "mevis/train/0a1b2c"
    assert record.media is not None
    assert record.media.model_dump() == {
        "type": "video",
        "path": "train/JPEGImages/0a1b2c",
        "fps": mevis.FPS,
    }
    assert same(frames_of(record), {0: LEFT | RIGHT, 1: RIGHT, 2: EMPTY})
    assert same(frames_of(record, 1), {0: LEFT, 1: EMPTY, 2: EMPTY})
    assert "the two dogs that run left" in question(record.branches[0])
    assert found.quirks == {
        RESPELT: 2,  # the phrase of both videos
        UNSORTED: 1,
        mevis.SHORT: 1,
        mevis.UNSEEN: 2,  # null; the mask without a pixel needs no mending
    }
    (sample,) = found.samples
    assert sample.media is not None
    assert (sample.media.total_frames, sample.media.size) == (3, SIZE)


def test_mevis_masks_follow_positions_not_frame_numbers(mevis_folder: Path) -> None:
    write_picture(mevis_folder / "train/JPEGImages/0a1b2c/00007.jpg")
    found = Found("mevis", mevis_folder)
    assert same(frames_of(found.records[0]), {0: LEFT | RIGHT, 1: RIGHT, 3: EMPTY})
    assert found.quirks[UNLISTED] == 1


def test_mevis_without_media_reads_all_the_same(mevis_folder: Path) -> None:
    for picture in (mevis_folder / "train/JPEGImages/0a1b2c").iterdir():
        picture.unlink()
    (mevis_folder / "train/JPEGImages/0a1b2c").rmdir()
    found = Found("mevis", mevis_folder, media=False)
    assert same(frames_of(found.records[0]), {0: LEFT | RIGHT, 1: RIGHT, 2: EMPTY})


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ({"13": None}, "mask_dict.json has no masks of annotation 13"),
        ({"13": [encode(RIGHT)]}, "has 1 masks; expected one for each of 3 frames"),
        ({"13": [None, None, None], "11": [None] * 3}, "visible in none of its 3 annotated frames"),
        (
            {"13": [encode(block(0, 0, size=(12, 15))), None, None]},
            "the mask is 12 x 15 (height x width) but the picture is 12 x 16",
        ),
        (
            {"13": [{"size": [12, 16], "counts": "11"}, None, None]},
            "run lengths cover 2 pixels, but size [12, 16] has 192",
        ),
        ({"13": [{"size": [12, 16]}, None, None]}, "counts: Field required"),
    ],
)
def test_mevis_bad_masks_are_named_and_the_rest_is_kept(
    mevis_folder: Path, masks: dict[str, Any], reason: str
) -> None:
    file = mevis_folder / "train/mask_dict.json"
    whole = {**json.loads(file.read_text()), **masks}
    write_json(file, {key: value for key, value in whole.items() if value is not None})
    found = Found("mevis", mevis_folder)
    error = found.errors[0]
    assert reason in error.reason
    assert (error.path, error.line, error.field) == (
        str(mevis_folder / "train/meta_expressions.json"),
        1,
        "0a1b2c.expressions.0",
    )
    assert len(found.branches) == (0 if "11" in masks else 1)


def test_mevis_a_malformed_phrase_or_a_missing_frame_is_named(mevis_folder: Path) -> None:
    file = mevis_folder / "train/meta_expressions.json"
    videos = json.loads(file.read_text())["videos"]
    videos["0a1b2c"]["expressions"]["1"]["anno_id"] = "eleven"
    videos["0a1b2c"]["expressions"]["2"] = {"exp": " \n", "anno_id": [11]}
    videos["other"] = {"expressions": {}}
    write_json(file, {"videos": videos})
    found = Found("mevis", mevis_folder)
    assert [error.field for error in found.errors] == [
        "0a1b2c.expressions.1.anno_id",
        "0a1b2c.expressions.2.exp",
        "other.frames",
    ]
    (mevis_folder / "train/JPEGImages/0a1b2c/00005.jpg").unlink()
    found = Found("mevis", mevis_folder)
    assert "frame 00005 is not in" in found.errors[2].reason
    assert not found.records


def test_mevis_splits(mevis_folder: Path) -> None:
    with pytest.raises(InputError, match="masks of MeViS valid are not released"):
        Found("mevis", mevis_folder, split="valid")
    with pytest.raises(InputError, match=r"no valid_u/meta_expressions\.json was found in"):
        Found("mevis", mevis_folder, split="valid_u")
    with pytest.raises(UnknownName, match="unknown split 'val'"):
        Found("mevis", mevis_folder, split="val")
    video = {"frames": ["00000", "00001"], "expressions": {"0": {"exp": "a dog"}}}
    write_json(mevis_folder / "valid/meta_expressions.json", {"videos": {"v": video}})
    (group,) = mevis.expressions(mevis_folder, split="valid")
    (row,) = group.rows
    assert (row.value.video, row.value.key, row.value.text) == ("v", "0", "a dog")
    assert row.value.annotations == ()
    assert len(Found("mevis", mevis_folder).records) == 1
    (mevis_folder / "train/mask_dict.json").unlink()
    with pytest.raises(InputError, match=r"cannot read .*mask_dict\.json"):
        registry.load_dataset("mevis")(mevis_folder)


# Ref-YouTube-VOS


@pytest.fixture
def youtube_folder(tmp_path: Path) -> Path:
    """Object 2 is hidden in the second frame; frames are every fifth."""
    expressions = {
        "0": {"exp": "a cat on the left", "obj_id": "2"},
        "1": {"exp": "A dog", "obj_id": "1"},
    }
    video = {"expressions": expressions, "frames": ["00000", "00005"]}
    base = tmp_path / "ref-youtube-vos"
    write_json(base / "meta_expressions/train/meta_expressions.json", {"videos": {"abc": video}})
    first = np.where(LEFT, 2, np.where(RIGHT, 1, 0)).astype(np.uint8)
    second = np.where(RIGHT, 1, 0).astype(np.uint8)
    for stem, labels in (("00000", first), ("00005", second)):
        write_palette(base / f"train/Annotations/abc/{stem}.png", labels)
        write_picture(base / f"train/JPEGImages/abc/{stem}.jpg")
    return tmp_path


def test_youtube_masks_are_pixels_of_the_objects_number(youtube_folder: Path) -> None:
    found = Found("ref_youtube_vos", youtube_folder)
    assert not found.errors
    (record,) = found.records
    assert record.id == "ref_youtube_vos/train/abc"
    assert record.media is not None
    assert record.media.path == "ref-youtube-vos/train/JPEGImages/abc"
    assert same(frames_of(record, 0), {0: LEFT, 1: EMPTY})
    assert same(frames_of(record, 1), {0: RIGHT, 1: RIGHT})
    assert found.quirks == {RESPELT: 1}
    assert found.samples[0].media is not None
    assert found.samples[0].media.times.tolist() == pytest.approx([0, 1 / 6])


def test_youtube_with_all_frames_keeps_masks_on_theirs(youtube_folder: Path) -> None:
    for stem in ("00001", "00002", "00003", "00004"):
        write_picture(youtube_folder / f"ref-youtube-vos/train/JPEGImages/abc/{stem}.jpg")
    found = Found("ref_youtube_vos", youtube_folder, split="train")
    assert same(frames_of(found.records[0], 0), {0: LEFT, 5: EMPTY})
    assert found.quirks[UNLISTED] == 4


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros((12, 15), np.uint8), "is 12 x 15 (height x width) but the picture is 12 x 16"),
        (np.zeros((*SIZE, 3), np.uint8), "is of mode RGB; expected a palette PNG"),
        (None, "cannot be read as a mask"),
    ],
)
def test_youtube_bad_masks_are_named(
    youtube_folder: Path, labels: np.ndarray | None, reason: str
) -> None:
    path = youtube_folder / "ref-youtube-vos/train/Annotations/abc/00005.png"
    path.unlink()
    if labels is not None:
        Image.fromarray(labels).save(path)
    found = Found("ref_youtube_vos", youtube_folder)
    assert len(found.errors) == 2
    assert f"{path} {reason}" in found.errors[0].reason
    assert found.errors[0].field == "abc.expressions.0"


def test_youtube_objects_that_are_not_there_are_named(youtube_folder: Path) -> None:
    file = youtube_folder / "ref-youtube-vos/meta_expressions/train/meta_expressions.json"
    videos = json.loads(file.read_text())["videos"]
    videos["abc"]["expressions"]["0"]["obj_id"] = "7"
    del videos["abc"]["expressions"]["1"]["obj_id"]
    write_json(file, {"videos": videos})
    found = Found("ref_youtube_vos", youtube_folder)
    assert "object 7 is in no mask of" in found.errors[0].reason
    assert "the phrase is for objects []; expected the number of one" in found.errors[1].reason


def test_youtube_validation_leaves_out_the_test_videos(youtube_folder: Path) -> None:
    video = {"expressions": {"0": {"exp": "a cat"}}, "frames": ["00000"]}
    meta = youtube_folder / "ref-youtube-vos/meta_expressions"
    write_json(meta / "valid/meta_expressions.json", {"videos": {"v1": video, "t1": video}})
    with pytest.raises(InputError, match=r"meta_expressions/test/meta_expressions\.json was found"):
        ref_youtube_vos.expressions(youtube_folder, split="valid")
    write_json(meta / "test/meta_expressions.json", {"videos": {"t1": video}})
    quirks: Counter[str] = Counter()
    groups = list(ref_youtube_vos.expressions(youtube_folder, split="valid", quirks=quirks))
    assert [group.key for group in groups] == ["v1"]
    assert quirks[OF_TEST] == 1
    with pytest.raises(InputError, match="masks of Ref-YouTube-VOS valid are not released"):
        Found("ref_youtube_vos", youtube_folder, split="valid")


# Ref-DAVIS17


@pytest.fixture
def davis_folder(tmp_path: Path) -> Path:
    """One video of two objects, a second one whose name the texts misspell."""
    davis = tmp_path / "DAVIS"
    write_text(davis / "ImageSets/2017/train.txt", "classic-car\n")
    write_text(davis / "ImageSets/2017/val.txt", "blackcat\n")
    void = np.zeros(SIZE, np.bool_)
    void[0, 0] = True
    both = np.where(LEFT, 1, np.where(RIGHT, 2, np.where(void, 255, 0))).astype(np.uint8)
    one = np.where(LEFT, 1, 0).astype(np.uint8)
    for video in ("blackcat", "classic-car"):
        for stem, labels in (("00000", both), ("00001", one)):
            write_palette(davis / f"Annotations_unsupervised/480p/{video}/{stem}.png", labels)
            write_picture(davis / f"JPEGImages/480p/{video}/{stem}.jpg")
    texts = tmp_path / "davis_text_annotations"
    for name in ref_davis17.TEXTS:
        who = name.removeprefix("Davis17_annot").removesuffix(".txt")
        lines = [
            f'blackcat 2 "the second by {who}"',
            f'blackcat 1 "a caf\xe9 cat by {who}"',
            f'clasic-car 1 "An old car by {who}"',
        ]
        encoding = "latin-1" if who == "1" else "utf-8"
        write_text(texts / name, "\n".join(lines) + "\n", encoding=encoding)
    return tmp_path


def test_davis_has_four_phrases_an_object(davis_folder: Path) -> None:
    found = Found("ref_davis17", davis_folder)
    assert not found.errors
    assert list(found.by_id) == ["ref_davis17/train/classic-car", "ref_davis17/val/blackcat"]
    record = found.by_id["ref_davis17/val/blackcat"]
    assert record.media is not None
    assert record.media.path == "DAVIS/JPEGImages/480p/blackcat"
    asked = [question(branch) for branch in record.branches]
    authors = ["1", "1_full_video", "2", "2_full_video"]
    assert all(f"a café cat by {who}" in text for who, text in zip(authors, asked[:4], strict=True))
    assert all(f"second by {who}" in text for who, text in zip(authors, asked[4:], strict=True))
    assert same(frames_of(record, 0), {0: LEFT, 1: LEFT})
    assert same(frames_of(record, 7), {0: RIGHT, 1: EMPTY})
    assert found.quirks == {
        ref_davis17.MISSPELT: 4,
        ref_davis17.NOT_UTF8: 1,
        RESPELT: 4,
        UNJUDGED: 2,
    }


def test_davis_phrases_are_numbered_as_evaluation_counts_them(davis_folder: Path) -> None:
    (group,) = ref_davis17.expressions(davis_folder, split="val")
    found = [(row.value.key, row.value.objects) for row in group.rows]
    assert found == [(str(key), (1 if key < 4 else 2,)) for key in range(8)]


def test_davis_bad_lines_are_named(davis_folder: Path) -> None:
    texts = davis_folder / "davis_text_annotations"
    path = texts / "Davis17_annot2.txt"
    write_text(path, 'blackcat one "a cat"\nblackcat 1\n\nblackcat 9 "a ghost"\n')
    write_text(davis_folder / "DAVIS/ImageSets/2017/train.txt", "classic-car\nabsent\n")
    found = Found("ref_davis17", davis_folder)
    assert [(error.line, error.reason) for error in found.errors[:2]] == [
        (1, "the line is 'blackcat one \"a cat\"'; expected a video, a number and a phrase"),
        (2, "the line is 'blackcat 1'; expected a video, a number and a phrase"),
    ]
    assert all(error.path == str(path) for error in found.errors[:2])
    assert "absent holds no mask" in found.errors[2].reason
    assert "object 9 is in no mask" in found.errors[3].reason
    assert len(found.branches) == 3 + 6
    path.unlink()
    with pytest.raises(InputError, match=r"no Davis17_annot2\.txt was found in"):
        Found("ref_davis17", davis_folder)


# SA-V


def masklet_file(**changes: Any) -> dict[str, Any]:
    """Eight frames, so two annotated ones, of two objects; numbers as the release writes them."""
    return {
        "video_id": "sav_999999",
        "video_duration": 0.333,
        "video_frame_count": 8.0,
        "video_height": float(SIZE[0]),
        "video_width": float(SIZE[1]),
        "video_environment": "Indoor",
        "masklet": [[encode(LEFT), encode(EMPTY)], [encode(EMPTY), encode(RIGHT)]],
        "masklet_id": [0, 1],
        "masklet_first_appeared_frame": [0.0, 4.0],
        "masklet_type": ["manual", "manual"],
        "masklet_stability_score": [None, None],
        "masklet_num": 2,
        **changes,
    }


@pytest.fixture
def sav_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sav_train/sav_000"
    for name in ("sav_000001", "sav_000002"):
        frames = torch.zeros(8, 3, *SIZE, dtype=torch.uint8)
        write_video(folder / f"{name}.mp4", frames, fps=24)
        write_json(folder / f"{name}_manual.json", masklet_file())
    auto = masklet_file(
        masklet=[[encode(LEFT | RIGHT)], [None]],
        masklet_first_appeared_frame=[0],
        masklet_stability_score=[[0.9], [None]],
        video_height=SIZE[0],
        video_width=SIZE[1],
        video_frame_count=8,
    )
    write_json(folder / "sav_000001_auto.json", auto)
    return tmp_path


def test_sav_annotations_belong_to_every_fourth_frame(sav_folder: Path) -> None:
    found = Found("sa_v", sav_folder)
    assert not found.errors
    assert list(found.by_id) == ["sa_v/train/sav_000001", "sa_v/train/sav_000002"]
    record = found.records[0]
    assert record.media is not None
    assert record.media.model_dump(exclude_none=True) == {
        "type": "video",
        "path": "sav_train/sav_000/sav_000001.mp4",
    }
    assert same(frames_of(record, 0), {0: LEFT, 4: EMPTY})
    assert same(frames_of(record, 1), {0: EMPTY, 4: RIGHT})
    first, second = (branch.prompts[0] for branch in record.branches)
    assert first == {"task": "region", "box": [1 / 16, 0.166667, 6 / 16, 0.5], "frame": 0}
    assert second == {"task": "region", "box": [9 / 16, 0.166667, 14 / 16, 0.5], "frame": 4}
    assert found.quirks == {sa_v.FLOATS: 2, sa_v.EMPTY: 4}


def test_sav_automatic_masklets_may_be_missing(sav_folder: Path) -> None:
    auto = Found("sa_v", sav_folder, masklets="auto", split="train")
    assert len(auto.records) == 1
    assert same(frames_of(auto.records[0]), {0: LEFT | RIGHT, 4: EMPTY})
    assert auto.quirks == {sa_v.NULL: 1, sa_v.NO_AUTO: 1}
    both = Found("sa_v", sav_folder, masklets="both")
    assert [len(record.branches) for record in both.records] == [3, 2]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"video_height": 11.0}, "masklet.*.0", "the mask is 12 x 16 (height x width) but the"),
        ({"video_height": 11.5}, "video_height", "valid integer"),
        (
            {"video_frame_count": 4},
            "masklet",
            "2 annotated frames of [2] objects; expected at most",
        ),
        ({"masklet": [[None, None], [None]]}, "masklet", "of [1, 2] objects"),
        ({"masklet": [[None], [None]]}, "masklet.*.0", "visible in none of its 2 annotated frames"),
        ({"masklet": None}, "masklet", "valid list"),
    ],
)
def test_sav_bad_files_are_named(
    sav_folder: Path, changes: dict[str, Any], field: str, reason: str
) -> None:
    path = sav_folder / "sav_train/sav_000/sav_000002_manual.json"
    write_json(path, masklet_file(**changes))
    found = Found("sa_v", sav_folder)
    assert reason in found.errors[0].reason
    assert (found.errors[0].path, found.errors[0].field) == (str(path), field)
    assert "sa_v/train/sav_000001" in found.by_id


def test_sav_a_file_that_breaks_off_is_named(sav_folder: Path) -> None:
    path = sav_folder / "sav_train/sav_000/sav_000002_manual.json"
    path.write_text(path.read_text()[:-20])
    found = Found("sa_v", sav_folder)
    assert "the file cannot be read as JSON" in found.errors[0].reason
    assert found.errors[0].path == str(path)


def test_sav_validation_has_a_picture_an_object(tmp_path: Path) -> None:
    base = tmp_path / "sav_val"
    write_text(base / "sav_val.txt", "sav_000007\nsav_absent\n")
    for number in range(8):
        write_picture(base / f"JPEGImages_24fps/sav_000007/{number:05d}.jpg")
    overlapping = LEFT | block(2, 4)
    masks = {"000": {0: EMPTY, 4: LEFT}, "001": {0: overlapping, 4: overlapping}}
    for name, frames in masks.items():
        for number, mask in frames.items():
            path = base / f"Annotations_6fps/sav_000007/{name}/{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    found = Found("sa_v", tmp_path)
    assert [error.reason for error in found.errors] == [
        f"{base}/Annotations_6fps/sav_absent holds no folder of masks; get it again"
    ]
    (record,) = found.records
    assert record.id == "sa_v/val/sav_000007"
    assert record.media is not None
    assert record.media.fps == 24.0
    assert same(frames_of(record, 0), masks["000"])
    assert same(frames_of(record, 1), masks["001"])
    assert [branch.prompts[0]["frame"] for branch in record.branches] == [4, 0]
    assert found.quirks == {sa_v.EMPTY: 1}


def test_sav_splits(sav_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sav_val\.txt was found"):
        Found("sa_v", sav_folder, split="val")
    with pytest.raises(UnknownName, match="unknown split 'valid'"):
        Found("sa_v", sav_folder, split="valid")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=r"no <id>_manual\.json was found below"):
        Found("sa_v", tmp_path / "nothing", split="train")
    with pytest.raises(InputError, match=r"no sav_val\.txt or sav_test\.txt was found"):
        Found("sa_v", tmp_path / "nothing")


@pytest.mark.parametrize("name", ["mevis", "sa_v", "ref_youtube_vos", "ref_davis17"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    read = registry.load_dataset(name)
    with pytest.raises(InputError, match="absent does not exist; expected the folder"):
        read(tmp_path / "absent")
    with pytest.raises(InputError, match="found"):
        read(tmp_path)


def test_readers_give_one_record_at_a_time(mevis_folder: Path) -> None:
    items = registry.load_dataset("mevis")(mevis_folder)
    assert iter(items) is items
    assert not isinstance(next(items), RecordError)
