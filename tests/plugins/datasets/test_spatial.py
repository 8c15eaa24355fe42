"""All-Seeing-V2, Visual Genome and RefCOCO / + / g in their released layouts."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from tests.plugins.datasets.released import (
    SIZE,
    Found,
    block,
    decode,
    encode,
    question,
    write_json,
    write_picture,
    write_text,
)
from tpo_core.errors import InputError, UnknownName
from tpo_plugins.datasets import all_seeing_v2, refcoco, visual_genome
from tpo_plugins.datasets.refcoco import lines, refer

H, W = SIZE


def box_of(branch: Any) -> list[float]:
    (target,) = branch.targets
    assert target["task"] == "region"
    return target["box"]


def normalised(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    return pytest.approx([x1 / W, y1 / H, x2 / W, y2 / H], abs=1e-6)


# All-Seeing-V2


def as_row(answer: str, ask: str = "<image>\nDescribe it.", **changes: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]
    return {"id": "as1", "image": "coco/train2017/1.jpg", "conversations": turns, **changes}


def write_as(root: Path, *rows: Any, name: str = "sgc_conversation_22k.json") -> Path:
    write_picture(root / "coco/train2017/1.jpg")
    return write_json(root / name, list(rows))


def padded(x: float, y: float) -> list[int]:
    """Put a point of the picture, in pixels, on the 0..999 scale of its square."""
    return [round(x / W * 999), round((y + (W - H) // 2) / W * 999)]


def test_as_v2_boxes_of_the_padded_square_are_undone(tmp_path: Path) -> None:
    box = padded(4, 3) + padded(8, 9)
    write_as(tmp_path, as_row(f"A <ref>dog</ref><box>[{box}]</box> sits."))
    found = Found("all_seeing_v2", tmp_path)
    assert not found.errors
    (record,) = found.records
    assert record.id == "all_seeing_v2/conversation/coco/train2017/1.jpg"
    (branch,) = record.branches
    assert [turn.content for turn in branch.messages] == ["Describe it.", "A dog <region> sits."]
    assert box_of(branch) == pytest.approx([4 / W, 3 / H, 8 / W, 9 / H], abs=1e-3)
    assert found.quirks == {all_seeing_v2.PADDED: 1}


def test_as_v2_a_tall_picture_is_padded_left_and_right(tmp_path: Path) -> None:
    write_as(tmp_path, as_row("A <ref>dog</ref><box>[[250, 0, 749, 999]]</box>."))
    write_picture(tmp_path / "coco/train2017/1.jpg", size=(40, 20))
    found = Found("all_seeing_v2", tmp_path)
    assert box_of(found.branches[0]) == pytest.approx([0, 0, 1, 1], abs=2e-3)


def test_as_v2_plain_boxes_are_preferred_and_need_no_picture(tmp_path: Path) -> None:
    row = as_row("A <ref>dog</ref><box>[[100, 200, 300, 420]]</box> sits.", image="images/x.jpg")
    write_json(tmp_path / "rec_conversation_22k_wo_square_pad.json", [row])
    write_as(tmp_path, as_row("A <ref>cat</ref><box>[[0, 0, 9, 9]]</box>."))
    found = Found("all_seeing_v2", tmp_path, media=False)
    assert box_of(found.branches[0]) == pytest.approx(
        [100 / 999, 200 / 999, 300 / 999, 420 / 999], abs=1e-6
    )
    assert found.quirks == {}


def test_as_v2_several_boxes_and_relations(tmp_path: Path) -> None:
    answer = (
        "<ref>Two dogs</ref><box>[[0, 0, 99, 99], [100, 100, 199, 199]]</box> "
        "<pred>sit on</pred><box>[[0, 0, 99, 99]]</box><box>[[500, 500, 999, 999]]</box> "
        "<ref>a bench</ref><box>[[500, 500, 999, 999]]</box>"
    )
    ask = "What is <ref>this</ref><box>[[1, 2, 300, 400]]</box>?\n<image>"
    write_as(tmp_path, as_row(answer, ask), name="rec_region_captioning_63k_wo_square_pad.json")
    (branch,) = Found("all_seeing_v2", tmp_path).branches
    assert branch.messages[0].content == "What is this <region>?"
    assert branch.messages[1].content == (
        "Two dogs <region> <region> sit on <region> <region> a bench <region>"
    )
    assert [round(target["box"][0] * 999) for target in branch.targets] == [0, 100, 0, 500, 500]
    assert [round(999 * value) for value in branch.prompts[0]["box"]] == [1, 2, 300, 400]


def test_as_v2_rows_of_a_picture_are_branches_and_text_is_kept(tmp_path: Path) -> None:
    text = as_row("It is 4.", "What is 2 + 2?", id="t")
    del text["image"]
    write_as(tmp_path, as_row("A dog."), text, as_row("A cat."), name="as_mix_4m.json")
    found = Found("all_seeing_v2", tmp_path, split="mix")
    assert [len(record.branches) for record in found.records] == [2, 1]
    assert found.records[1].media is None
    assert found.quirks == {all_seeing_v2.TEXT_ONLY: 1}


def test_as_v2_boxes_in_the_padding_are_cut_or_lost(tmp_path: Path) -> None:
    over = [*padded(4, -2), *padded(8, 9)]
    outside = [*padded(4, -2), *padded(8, -1)]
    write_as(
        tmp_path,
        as_row(f"A <ref>dog</ref><box>[{over}]</box> by a <ref>bar</ref><box>[{outside}]</box>."),
        as_row("Nothing.", f"What is <ref>this</ref><box>[{outside}]</box>?"),
    )
    found = Found("all_seeing_v2", tmp_path)
    (branch,) = found.branches
    assert branch.messages[1].content == "A dog <region> by a bar."
    assert box_of(branch) == pytest.approx([4 / W, 0, 8 / W, 9 / H], abs=1e-3)
    assert found.quirks == {
        all_seeing_v2.PADDED: 2,
        all_seeing_v2.CUT: 1,
        all_seeing_v2.LOST: 1,
    }
    assert "box of the question has no area" in found.errors[0].reason
    assert found.errors[0].field == "[1]"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (as_row("A <box>[[1, 2, 3]]</box>"), "<box> holds '[[1, 2, 3]]'; expected [[x1, y1,"),
        (as_row("A <box>dog</box>"), "<box> holds 'dog'"),
        (as_row("A <box>[[1, 2, 3, 4]]"), "a <box> is not closed"),
        (as_row("A <region>"), "the text holds <region>, which marks a target"),
        (as_row("A <box>[[1, 2, 3, 4]]</box>", image="gone.jpg"), "gone.jpg does not exist"),
        ({"id": "x", "image": "a.jpg"}, "Field required"),
        (as_row("A", conversations=[{"from": "robot", "value": "x"}]), "got 'robot'"),
    ],
)
def test_as_v2_bad_rows_are_named(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_as(tmp_path, as_row("A dog."), row)
    found = Found("all_seeing_v2", tmp_path)
    (error,) = found.errors
    assert reason in error.reason
    assert (error.path, error.line) == (str(path), 2)
    assert str(error.field).startswith("[1]")
    assert len(found.branches) == 1


# Visual Genome


def vg_region(x: int, y: int, width: int, height: int, phrase: str) -> dict[str, Any]:
    return {
        "region_id": 1,
        "image_id": 5,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "phrase": phrase,
        "synsets": [],
    }


def write_vg(root: Path, regions: Any, *, key: str = "id") -> None:
    write_json(root / "region_descriptions.json", [{key: 5, "regions": regions}])
    picture = {
        "image_id": 5,
        "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/5.jpg",
        "width": W,
        "height": H,
        "coco_id": 77,
        "flickr_id": None,
    }
    write_json(root / "image_data.json", [picture])
    write_picture(root / "images2/VG_100K_2/5.jpg")


@pytest.mark.parametrize("key", ["id", "image_id"])
def test_vg_regions_are_branches_of_their_picture(tmp_path: Path, key: str) -> None:
    write_vg(
        tmp_path,
        [vg_region(2, 3, 6, 4, "a cat on a table."), vg_region(0, 0, W, H, "all")],
        key=key,
    )
    found = Found("visual_genome", tmp_path)
    (record,) = found.records
    assert record.id == "visual_genome/5"
    assert record.media is not None
    assert record.media.path == "images2/VG_100K_2/5.jpg"
    assert box_of(record.branches[0]) == normalised(2, 3, 8, 7)
    assert "a cat on a table" in question(record.branches[0])
    assert box_of(record.branches[1]) == [0, 0, 1, 1]
    assert not found.errors
    assert not found.quirks


def test_vg_oddities_are_mended_or_left_out(tmp_path: Path) -> None:
    regions = [
        vg_region(-2, -1, 6, 5, "left the picture"),
        vg_region(10, 4, 100, 3, "right of it"),
        vg_region(3, 3, 1, 5, "one pixel wide"),
        vg_region(3, 3, 5, 0, "no height"),
        vg_region(W, 3, 5, 5, "outside"),
        vg_region(W - 1, 3, 5, 5, "one pixel inside"),
        vg_region(1, 1, 4, 4, "a  red\nbus "),
        vg_region(2, 2, 4, 4, "A red bus"),
        vg_region(2, 2, 4, 4, " \n"),
    ]
    write_vg(tmp_path, regions)
    found = Found("visual_genome", tmp_path)
    assert [box_of(branch) for branch in found.branches] == [
        normalised(0, 0, 4, 4),
        normalised(10, 4, W, 7),
        normalised(1, 1, 5, 5),
    ]
    assert "a red bus" in question(found.branches[2])
    assert found.quirks == {
        visual_genome.CUT: 2,
        visual_genome.DEGENERATE: 4,
        visual_genome.BLANKS: 1,
        visual_genome.REPEATED: 1,
        visual_genome.WORDLESS: 1,
    }


def test_vg_pictures_of_coco_can_be_left_out(tmp_path: Path) -> None:
    write_vg(tmp_path, [vg_region(2, 3, 6, 4, "a cat")])
    found = Found("visual_genome", tmp_path, without_coco={77, 78})
    assert not found.records
    assert found.quirks == {visual_genome.EXCLUDED: 1}
    assert len(Found("visual_genome", tmp_path, without_coco={5}).records) == 1


def test_vg_bad_rows_are_named(tmp_path: Path) -> None:
    bad = vg_region(1, 1, 4, 4, "a dog")
    del bad["width"]
    write_vg(tmp_path, [bad, vg_region(1, 1, 4, 4, "a cat")])
    path = tmp_path / "region_descriptions.json"
    rows = json.loads(path.read_text())
    write_json(path, [*rows, {"id": 6, "regions": []}, {"regions": []}])
    found = Found("visual_genome", tmp_path)
    assert [(error.field, error.reason) for error in found.errors] == [
        ("[0].regions.0.width", "Field required"),
        ("[1].id", "picture 6 is not in image_data.json"),
        ("[2].id", "Field required"),
    ]
    assert len(found.branches) == 1
    with pytest.raises(UnknownName, match="Visual Genome is released as a whole"):
        Found("visual_genome", tmp_path, split="train")
    (tmp_path / "image_data.json").unlink()
    with pytest.raises(InputError, match=r"no image_data\.json was found"):
        Found("visual_genome", tmp_path)


# RefCOCO: one picture, two phrases, in each of four styles

NAME = "COCO_train2014_000000000009"
XYWH = [2.0, 3.0, 6.5, 4.0]
XYXY = [2.0, 3.0, 8.5, 7.0]
SENTENCES = ["left dog", "the dog on the left"]


def refer_reference(**changes: Any) -> dict[str, Any]:
    return {
        "ref_id": 3,
        "ann_id": 40,
        "category_id": 18,
        "image_id": 9,
        "file_name": f"{NAME}_40.jpg",
        "split": "train",
        "sent_ids": [0, 1],
        "sentences": [
            {"sent_id": index, "sent": text, "raw": text.title(), "tokens": text.split()}
            for index, text in enumerate(SENTENCES)
        ],
        **changes,
    }


def coco_instances(**changes: Any) -> dict[str, Any]:
    """A picture and an annotation of two parts, a crowd's RLE, as COCO has them."""
    picture = {"id": 9, "file_name": f"{NAME}.jpg", "width": W, "height": H}
    two_parts = [[2, 3, 5, 3, 5, 7, 2, 7], [6.5, 3, 8.5, 3, 8.5, 7, 6.5, 7]]
    annotation = {"id": 40, "image_id": 9, "bbox": XYWH, "segmentation": two_parts, **changes}
    return {"images": [picture], "annotations": [annotation], "categories": []}


def python2_pickle(value: Any) -> bytes:
    """Pickle plain data in protocol 0 with texts as Python 2's `str`."""

    def dump(item: Any) -> bytes:
        if isinstance(item, bool) or item is None:
            raise TypeError(item)
        if isinstance(item, int):
            return b"I%d\n" % item
        if isinstance(item, float):
            return b"F%s\n" % repr(item).encode()
        if isinstance(item, str):
            raw = item.encode("latin-1")
            escaped = repr(raw)[1:].encode("ascii")
            return b"S" + escaped + b"\n"
        if isinstance(item, list):
            return b"(l" + b"".join(dump(each) + b"a" for each in item)
        if isinstance(item, dict):
            return b"(d" + b"".join(dump(k) + dump(v) + b"s" for k, v in item.items())
        raise TypeError(type(item))

    return dump(value) + b"."


def write_refer(root: Path, references: Any, instances: Any | None = None) -> Path:
    folder = root / "refcoco"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "refs(unc).p").write_bytes(python2_pickle(references))
    write_json(folder / "instances.json", instances or coco_instances())
    return folder / "refs(unc).p"


def write_style(root: Path, style: str) -> None:
    if style == "refer":
        write_refer(root, [refer_reference()])
    elif style == "mdetr":
        images = [
            {
                "id": 100 + index,
                "caption": text,
                "dataset_name": "refcoco",
                "original_id": 9,
                "tokens_negative": [[0, len(text)]],
                "file_name": f"{NAME}.jpg",
                "width": W,
                "height": H,
            }
            for index, text in enumerate(SENTENCES)
        ]
        annotations = [
            {
                "id": 7 + index,
                "image_id": 100 + index,
                "bbox": XYWH,
                "tokens_positive": [[0, 4]],
                "original_id": 40,
            }
            for index in range(2)
        ]
        write_json(
            root / "OpenSource/finetune_refcoco_train.json",
            {"info": "", "licenses": [], "images": images, "annotations": annotations},
        )
    elif style == "qwen_vl":
        rows = [
            {
                "image": f"data/coco/train2014/{NAME}.jpg",
                "sent": text,
                "bbox": XYXY,
                "width": W,
                "height": H,
            }
            for text in SENTENCES
        ]
        write_text(root / "refcoco_train.jsonl", "".join(f"{json.dumps(r)}\n" for r in rows))
    else:
        write_shikra(root / "REC_refcoco_unc_train.jsonl", "refcoco")


def write_shikra(path: Path, *datasets: str) -> Path:
    rows = [
        {
            "img_path": f"{NAME}.jpg",
            "expression": text,
            "bbox": XYXY,
            "dataset_name": dataset,
            "height": H,
            "width": W,
        }
        for dataset in datasets
        for text in SENTENCES
    ]
    return write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize("style", ["refer", "mdetr", "qwen_vl", "shikra"])
def test_refcoco_is_the_same_in_four_styles(tmp_path: Path, style: str) -> None:
    write_picture(tmp_path / f"coco/train2014/{NAME}.jpg")
    write_style(tmp_path, style)
    for split in (None, "train"):
        found = Found("refcoco", tmp_path, split=split)
        assert not found.errors
        (record,) = found.records
        assert record.id == f"refcoco/train/{NAME}"
        assert record.media is not None
        assert record.media.path == f"coco/train2014/{NAME}.jpg"
        assert [box_of(branch) for branch in record.branches] == [normalised(*XYXY)] * 2
        asked = [question(branch) for branch in record.branches]
        assert all(text in ask for text, ask in zip(SENTENCES, asked, strict=True))
        assert found.quirks == ({refer.RENAMED: 1} if style == "refer" else {})


def test_refcoco_refers_pickle_of_a_newer_python_too(tmp_path: Path) -> None:
    path = write_refer(tmp_path, [])
    path.write_bytes(pickle.dumps([refer_reference()]))
    write_picture(tmp_path / f"train2014/{NAME}.jpg")
    assert len(Found("refcoco", tmp_path / "refcoco", media=False).branches) == 2
    assert len(Found("refcoco", tmp_path).branches) == 2


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trap"),))


def test_refcoco_pickles_never_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_refer(tmp_path, [])
    stream = io.BytesIO()
    pickle.Pickler(stream).dump([refer_reference(), Trap()])
    path.write_bytes(stream.getvalue())
    with pytest.raises(InputError, match="expected plain lists, texts, numbers"):
        Found("refcoco", tmp_path)
    assert not Path("trap").exists()


def test_refcoco_splits_are_matched_as_refers_own_code_does(tmp_path: Path) -> None:
    splits = ["train", "val", "testA", "testB", "testAB"]
    write_refer(tmp_path, [refer_reference(split=split) for split in splits])

    def count(split: str | None) -> int:
        return len(Found("refcoco", tmp_path, split=split, media=False).branches) // 2

    assert [count(split) for split in (*splits, "test", None)] == [1, 1, 2, 2, 1, 3, 5]
    with pytest.raises(UnknownName, match="unknown split 'testC'"):
        count("testC")


def test_refcoco_masks_join_all_parts(tmp_path: Path) -> None:
    write_picture(tmp_path / f"train2014/{NAME}.jpg")
    write_refer(tmp_path, [refer_reference()])
    found = Found("refcoco", tmp_path, label="mask")
    (target,) = found.branches[0].targets
    mask = decode(target["frames"])[0]
    parts = coco_instances()["annotations"][0]["segmentation"]
    expected = coco.decode(coco.frPyObjects(parts, H, W)).sum(axis=2) > 0
    assert np.array_equal(mask, expected)
    assert mask[4, 3]
    assert mask[4, 7]
    assert not mask[4, 5:6].any()
    assert found.quirks == {refcoco.PARTS: 2, refer.RENAMED: 1}


@pytest.mark.parametrize("compressed", [True, False])
def test_refcoco_masks_as_run_lengths(tmp_path: Path, compressed: bool) -> None:
    block_mask = block(2, 3)
    counts = [3 * H + 2, *([4, H - 4] * 5)]
    counts[-1] = H * W - sum(counts[:-1])
    segmentation = encode(block_mask) if compressed else {"size": [H, W], "counts": counts}
    write_picture(tmp_path / f"train2014/{NAME}.jpg")
    write_refer(tmp_path, [refer_reference()], coco_instances(segmentation=segmentation))
    found = Found("refcoco", tmp_path, label="mask")
    assert np.array_equal(decode(found.branches[0].targets[0]["frames"])[0], block_mask)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "there is no segmentation; masks need REFER's files"),
        ([[1, 2, 3, 4]], "parts of [4] numbers; expected polygons"),
        ([], "parts of [] numbers"),
        ({"size": [H, W - 1], "counts": [H * (W - 1)]}, "the mask is 12 x 15 (height x width)"),
        ({"size": [H, W], "counts": [5]}, "run lengths cover 5 pixels"),
    ],
)
def test_refcoco_bad_masks_are_named(tmp_path: Path, segmentation: Any, reason: str) -> None:
    write_refer(tmp_path, [refer_reference()], coco_instances(segmentation=segmentation))
    found = Found("refcoco", tmp_path, label="mask")
    assert not found.records
    assert reason in found.errors[0].reason
    assert found.errors[0].field == "[0].sentences.0"


def test_refcoco_bad_references_are_named(tmp_path: Path) -> None:
    references = [
        refer_reference(ann_id=41),
        refer_reference(image_id=10),
        refer_reference(sentences=[]),
        refer_reference(sentences=[{"sent": "  "}, {"sent": "a dog"}]),
    ]
    path = write_refer(tmp_path, references)
    found = Found("refcoco", tmp_path, media=False)
    reasons = {error.field: error.reason for error in found.errors}
    instances = tmp_path / "refcoco/instances.json"
    assert reasons["[0].ann_id"] == f"annotation 41 is not in {instances}"
    assert reasons["[1].image_id"] == f"picture 10 is not in {instances}"
    assert "at least 1 item" in reasons["[2].sentences"]
    assert {error.path for error in found.errors} == {str(path)}
    assert len(found.branches) == 1
    assert found.quirks[refcoco.WORDLESS] == 1


def test_refcoco_boxes_past_the_border_are_cut(tmp_path: Path) -> None:
    write_picture(tmp_path / f"train2014/{NAME}.jpg")
    write_refer(tmp_path, [refer_reference()], coco_instances(bbox=[-0.5, 3.0, 40.0, 4.0]))
    found = Found("refcoco", tmp_path)
    assert box_of(found.branches[0]) == normalised(0, 3, W, 7)
    assert found.quirks[refcoco.CUT] == 2
    write_refer(tmp_path, [refer_reference()], coco_instances(bbox=[3.0, 3.0, 0.0, 4.0]))
    assert "has no area in the picture of 16 x 12" in Found("refcoco", tmp_path).errors[0].reason


def test_refcoco_shikras_training_file_holds_three_datasets(tmp_path: Path) -> None:
    write_shikra(tmp_path / "REC_ref3_train.jsonl", "refcoco", "refcoco+", "refcocog")
    write_shikra(tmp_path / "REC_refcocog_umd_test.jsonl", "refcocog")
    for name in ("refcoco", "refcoco_plus", "refcocog"):
        found = Found(name, tmp_path, split="train", media=False)
        assert len(found.branches) == 2
        assert found.quirks == {lines.OTHERS: 4}
    assert len(Found("refcocog", tmp_path, media=False).records) == 2
    assert len(Found("refcocog", tmp_path, split="test", media=False).records) == 1


def test_refcoco_plus_is_not_taken_for_refcoco(tmp_path: Path) -> None:
    write_style(tmp_path, "qwen_vl")
    (tmp_path / "refcoco_train.jsonl").rename(tmp_path / "refcoco+_testA.jsonl")
    assert list(Found("refcoco_plus", tmp_path, media=False).by_id) == [f"refcoco+/testA/{NAME}"]
    with pytest.raises(InputError, match=r"no file of refcoco was found in .*refs\(\*\)\.p"):
        Found("refcoco", tmp_path)
    with pytest.raises(UnknownName, match="unknown split 'testB'"):
        Found("refcocog", tmp_path, split="testB")
    with pytest.raises(UnknownName, match="unknown label 'box'"):
        Found("refcoco_plus", tmp_path, label="box")


def test_refcoco_bad_lines_are_named(tmp_path: Path) -> None:
    write_style(tmp_path, "qwen_vl")
    path = tmp_path / "refcoco_train.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    bad = [{**row, "bbox": [1, 2, 3]}, {**row, "bbox": [0.1, 0.2, 0.1, 0.4]}, {**row, "width": 0}]
    write_text(path, "".join(f"{json.dumps(each)}\n" for each in (row, *bad)) + "{\n")
    found = Found("refcoco", tmp_path, media=False)
    places = {(error.line, error.field) for error in found.errors}
    assert places == {(2, "bbox.3"), (3, None), (4, "width"), (5, None)}
    assert len(found.branches) == 1


def test_refcoco_mdetr_sentences_need_their_annotation(tmp_path: Path) -> None:
    write_style(tmp_path, "mdetr")
    path = tmp_path / "OpenSource/finetune_refcoco_train.json"
    value = json.loads(path.read_text())
    value["annotations"][1]["image_id"] = 100
    write_json(path, value)
    found = Found("refcoco", tmp_path, media=False)
    assert [error.reason for error in found.errors] == [
        "there are 2 annotations of the sentence; expected one",
        "there are 0 annotations of the sentence; expected one",
    ]


def test_refcoco_phrases_for_evaluation(tmp_path: Path) -> None:
    write_style(tmp_path, "qwen_vl")
    quirks: Counter[str] = Counter()
    (groups,) = refcoco.phrases(tmp_path, "refcoco", split="train", quirks=quirks).values()
    (group,) = groups
    first = group.rows[0].value
    assert (first.text, list(first.box), first.size) == (SENTENCES[0], XYXY, SIZE)
