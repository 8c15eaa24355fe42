"""LaSOT and GOT-10k in their released layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.datasets.released import SIZE, Found, question, write_picture, write_text
from tpo_core.errors import InputError, UnknownName
from tpo_plugins.datasets import got10k, lasot, tracking, tracks

H, W = SIZE


def boxes_of(record: Any, branch: int = 0) -> dict[int, Any]:
    (target,) = record.branches[branch].targets
    assert target["task"] == "mask"
    assert "frames" not in target
    return {int(frame): box for frame, box in target["boxes"].items()}


def normalised(x1: float, y1: float, x2: float, y2: float) -> Any:
    return pytest.approx([x1 / W, y1 / H, x2 / W, y2 / H], abs=1e-6)


# LaSOT


def write_lasot(
    root: Path,
    name: str = "dog-2",
    *,
    boxes: str = "5,4,6,3\n6,4,6,3\n0,0,0,0\n7,4,6,3\n",
    occluded: str = "0,0,1,0",
    out: str = "0,0,0,0",
    pictures: int = 4,
    sentence: str | None = "white dog running on the grass\n",
    below: str | None = None,
) -> Path:
    folder = root / (name.split("-")[0] if below is None else below) / name
    write_text(folder / "groundtruth.txt", boxes)
    write_text(folder / "full_occlusion.txt", occluded)
    write_text(folder / "out_of_view.txt", out)
    if sentence is not None:
        write_text(folder / "nlp.txt", sentence)
    for number in range(1, pictures + 1):
        write_picture(folder / f"img/{number:08d}.jpg")
    return folder


def test_lasot_is_asked_for_by_box_and_by_sentence(tmp_path: Path) -> None:
    write_lasot(tmp_path)
    found = Found("lasot", tmp_path)
    assert not found.errors
    (record,) = found.records
    assert record.id == "lasot/train/dog-2"
    assert record.media is not None
    assert record.media.model_dump() == {"type": "video", "path": "dog/dog-2/img", "fps": 30.0}
    by_box, by_phrase = record.branches
    # Boxes count from 1: x 5 is the fifth pixel, whose left edge is 4 pixels from the picture's.
    expected = {0: normalised(4, 3, 10, 6), 1: normalised(5, 3, 11, 6), 2: None}
    assert boxes_of(record, 0) == boxes_of(record, 1) == {**expected, 3: normalised(6, 3, 12, 6)}
    (prompt,) = by_box.prompts
    assert prompt == {"task": "region", "box": normalised(4, 3, 10, 6), "frame": 0}
    assert not by_phrase.prompts
    assert "white dog running on the grass" in question(by_phrase)
    assert found.quirks == {tracks.UNSEEN: 1}
    (sample,) = found.samples
    assert sample.media is not None
    assert sample.media.times.tolist() == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])


def test_lasot_oddities(tmp_path: Path) -> None:
    write_lasot(
        tmp_path,
        boxes="0,0,0,0\n3,3,0,4\n3,3,-1,4\n-2,0,8,4\n40,4,6,3\n15,4,6,3\n5,4,6,3\n",
        occluded="1,0,0,0,0,0,0,\n",
        out="0,0,0,0,0,0,1",
        pictures=9,
        sentence=None,
    )
    found = Found("lasot", tmp_path)
    (record,) = found.records
    assert boxes_of(record) == {
        0: None,
        3: normalised(0, 0, 5, 3),
        5: normalised(14, 3, W, 6),
        6: None,
    }
    assert record.branches[0].prompts[0]["frame"] == 3
    assert found.quirks == {
        tracks.UNSEEN: 2,
        tracks.NO_SIZE: 2,
        tracks.OUTSIDE: 1,
        tracks.CUT: 2,
        tracking.SURPLUS: 1,
        tracking.LATE: 1,
        lasot.NO_SENTENCE: 1,
    }


def test_lasot_splits_follow_protocol_two(tmp_path: Path) -> None:
    for name in ("dog-10", "dog-2", "dog-1", "airplane-15"):
        write_lasot(tmp_path, name)
    assert len(lasot.test_names()) == 280
    assert list(Found("lasot", tmp_path).by_id) == [
        "lasot/test/airplane-15",
        "lasot/test/dog-1",
        "lasot/train/dog-2",
        "lasot/train/dog-10",
    ]
    assert list(Found("lasot", tmp_path, split="test").by_id) == [
        "lasot/test/airplane-15",
        "lasot/test/dog-1",
    ]
    with pytest.raises(UnknownName, match="unknown split 'val'"):
        Found("lasot", tmp_path, split="val")


def test_lasot_sequences_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    write_lasot(tmp_path, below=".")
    assert [record.media.path for record in Found("lasot", tmp_path).records if record.media] == [
        "dog-2/img"
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boxes": "5,4,6,3\n5,4,6\n"}, "the line is '5,4,6'; expected x,y,w,h in pixels"),
        ({"boxes": "5,4,6,nan\n"}, "the line is '5,4,6,nan'"),
        ({"boxes": "\n"}, "groundtruth.txt is empty; expected one x,y,w,h a line"),
        ({"occluded": "0,0,1"}, "has 4 boxes but 3 flags of occlusion and 4 of leaving the view"),
        ({"out": "0,0,no,0"}, "out_of_view.txt holds something else than whole numbers"),
        ({"pictures": 3}, "has 3 pictures but 4 boxes; get the rest of the video"),
        ({"pictures": 0}, "img does not exist"),
        ({"occluded": "1,1,1,1"}, "the object is visible in none of its 4 annotated frames"),
    ],
)
def test_lasot_bad_sequences_are_named(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    write_lasot(tmp_path, "cat-2")
    folder = write_lasot(tmp_path, "dog-2", **changes)
    found = Found("lasot", tmp_path)
    (error,) = found.errors
    assert reason in error.reason
    assert error.path == str(folder / "groundtruth.txt")
    assert list(found.by_id) == ["lasot/train/cat-2"]


def test_lasot_line_of_a_bad_box_is_named(tmp_path: Path) -> None:
    write_lasot(tmp_path, boxes="5,4,6,3\n\n5;4;6;3\n")
    assert Found("lasot", tmp_path).errors[0].line == 3


def test_lasot_as_released_for_evaluation(tmp_path: Path) -> None:
    folder = write_lasot(tmp_path)
    track = lasot.read_track(folder)
    assert track.boxes.tolist() == [[5, 4, 6, 3], [6, 4, 6, 3], [0, 0, 0, 0], [7, 4, 6, 3]]
    assert track.absent.tolist() == [False, False, True, False]
    assert track.origin == 1
    assert track.normalised(SIZE, quirks=Counter())[0] == normalised(4, 3, 10, 6)


# GOT-10k


def write_got(
    root: Path,
    split: str = "train",
    number: int = 1,
    *,
    boxes: str = "4.0000,3.0000,6.5000,3.0000\n5.0000,3.0000,6.5000,3.0000\n1.0,1.0,1.0,1.0\n",
    absence: str | None = "0\n0\n1\n",
    cover: str | None = "8\n7\n0\n",
    pictures: int = 3,
    meta: str
    | None = "[METAINFO]\nurl: https://youtu.be/x\nanno_fps: 10Hz\nresolution: (16, 12)\n",
) -> Path:
    name = f"GOT-10k_{split.title()}_{number:06d}"
    folder = root / split / name
    write_text(folder / "groundtruth.txt", boxes)
    if absence is not None and cover is not None:
        write_text(folder / "absence.label", absence)
        write_text(folder / "cover.label", cover)
        write_text(folder / "cut_by_image.label", absence)
    if meta is not None:
        write_text(folder / "meta_info.ini", meta)
    for picture in range(1, pictures + 1):
        write_picture(folder / f"{picture:08d}.jpg")
    with (root / split / "list.txt").open("a") as file:
        file.write(f"{name}\n")
    return folder


def test_got_boxes_count_from_zero_and_end_with_the_view(tmp_path: Path) -> None:
    write_got(tmp_path)
    found = Found("got10k", tmp_path)
    assert not found.errors
    (record,) = found.records
    assert record.id == "got10k/train/GOT-10k_Train_000001"
    assert record.media is not None
    assert record.media.model_dump() == {
        "type": "video",
        "path": "train/GOT-10k_Train_000001",
        "fps": 10.0,
    }
    assert boxes_of(record) == {
        0: normalised(4, 3, 10.5, 6),
        1: normalised(5, 3, 11.5, 6),
        2: None,
    }
    assert record.branches[0].prompts[0]["box"] == normalised(4, 3, 10.5, 6)
    assert found.quirks == {tracks.UNSEEN: 1}


def test_got_visible_means_not_absent_and_covered(tmp_path: Path) -> None:
    write_got(tmp_path, absence="0\n1\n0\n", cover="0\n5\n1\n", meta="[METAINFO]\nanno_fps: 5Hz\n")
    found = Found("got10k", tmp_path, split="train")
    (record,) = found.records
    assert boxes_of(record) == {0: None, 1: None, 2: normalised(1, 1, 2, 2)}
    assert record.branches[0].prompts[0]["frame"] == 2
    assert record.media is not None
    assert record.media.fps == 5.0
    assert found.quirks == {tracks.UNSEEN: 2, tracking.LATE: 1}


def test_got_test_sequences_have_their_first_box_alone(tmp_path: Path) -> None:
    write_got(tmp_path, "test", boxes="4.0,3.0,6.5,3.0\n", absence=None, cover=None, meta=None)
    found = Found("got10k", tmp_path)
    (record,) = found.records
    assert boxes_of(record) == {0: normalised(4, 3, 10.5, 6)}
    assert record.media is not None
    assert record.media.fps == got10k.FPS
    assert found.quirks == {got10k.FIRST_ONLY: 1, tracking.SURPLUS: 1}


def test_got_excluded_sequences_are_left_out_of_training(tmp_path: Path) -> None:
    for number in (1, 2):
        write_got(tmp_path, number=number)
    write_got(tmp_path, "val")
    write_text(tmp_path / "got10k_vot_exclude.txt", "GOT-10k_Train_000001\nGOT-10k_Val_000001\n")
    found = Found("got10k", tmp_path)
    assert list(found.by_id) == [
        "got10k/train/GOT-10k_Train_000002",
        "got10k/val/GOT-10k_Val_000001",
    ]
    assert found.quirks[got10k.EXCLUDED] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boxes": "4,3,6\n"}, "the line is '4,3,6'; expected x,y,w,h in pixels"),
        ({"absence": "0\n0\n"}, "has 3 boxes but 2 flags of absence and 3 of cover"),
        ({"cover": "8\n7\nfull\n"}, "cover.label holds something else than whole numbers"),
        ({"absence": None, "cover": None}, "absence.label: No such file"),
        ({"pictures": 2}, "has 2 pictures but 3 boxes; get the rest of the video"),
    ],
)
def test_got_bad_sequences_are_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write_got(tmp_path, number=1)
    write_got(tmp_path, number=2, **changes)
    found = Found("got10k", tmp_path)
    (error,) = found.errors
    assert reason in error.reason
    assert len(found.records) == 1


def test_got_splits(tmp_path: Path) -> None:
    write_got(tmp_path)
    with pytest.raises(InputError, match=r"no val/list\.txt was found in"):
        Found("got10k", tmp_path, split="val")
    with pytest.raises(UnknownName, match="unknown split 'dev'"):
        Found("got10k", tmp_path, split="dev")


@pytest.mark.parametrize("name", ["lasot", "got10k"])
def test_a_folder_without_sequences_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{tmp_path.name}"):
        Found(name, tmp_path)
    with pytest.raises(InputError, match="absent does not exist"):
        Found(name, tmp_path / "absent")
