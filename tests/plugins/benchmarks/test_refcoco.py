"""RefCOCO and its siblings: Acc@0.5 as lmms-eval has it, split by split."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.moment_answers import Scripted, answer, figures, golden
from tests.plugins.benchmarks.track_data import Forced
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.released import write_picture
from tpo_core.errors import InputError, MediaError, UnknownName
from tpo_core.evaluation import evaluate
from tpo_core.evaluation.metrics.box_text import box_text_accuracy, parse_box
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.evaluation.result import EvaluationResult
from tpo_core.media.sampling import choose_frames
from tpo_core.records.quarantine import BadSample
from tpo_core.results import Box
from tpo_plugins.benchmarks.refcoco import Refcoco, Refcocog, RefcocoPlus

HEIGHT, WIDTH = 12, 16
FIRST, SECOND = "COCO_train2014_000000000001", "COCO_train2014_000000000002"


def line(name, sent, bbox, **changes):
    image = f"data/coco/train2014/{name}.jpg"
    return {
        "image": image, "sent": sent, "bbox": bbox, "width": WIDTH, "height": HEIGHT, **changes
    }  # fmt: skip


LINES = {
    "refcoco_val.jsonl": [
        line(FIRST, "left dog.", [0, 0, 8, 6]),
        line(SECOND, "the  cat", [4, 3, 12, 9]),
        line(FIRST, "brown one", [8, 0, 16, 6]),
    ],
    "refcoco_testA.jsonl": [line(FIRST, "man", [0, 0, 8, 12])],
    "refcoco_testB.jsonl": [line(SECOND, "cup", [0, 6, 8, 12])],
}


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "refcoco"
    for name in (FIRST, SECOND):
        write_picture(root / f"coco/train2014/{name}.jpg")
    return write(root, LINES)


def items_of(benchmark, data):
    return [item for case in benchmark.cases(data) for item in case.items]


def fractions(item):
    return {"box": item.truth}


def test_figures_are_those_of_lmms_eval(tmp_path):
    released = golden("refcoco_rec")
    rows = released["inputs"]
    write(tmp_path, {"refcoco_val.jsonl": rows})
    benchmark = Refcoco(splits=["val"])
    by_text = {f"Where is {row['sent']} in the picture?": row for row in rows}
    assert len(by_text) == len(rows)

    def predicted(item):
        row = by_text[item.text]
        size = (row["width"], row["height"])
        box = parse_box(row["answer_fraction"], "lmms-eval", size).tolist()
        return {"box": box} if any(box) else None

    found = figures(benchmark, tmp_path, predicted)
    expected = [row["acc"] for row in released["expected"]["lmms_eval"]]
    assert found["val_acc@0.5"] == pytest.approx(100 * sum(expected) / len(expected))
    official = box_text_accuracy(
        [row["answer_fraction"] for row in rows],
        [row["bbox"] for row in rows],
        [(row["width"], row["height"]) for row in rows],
        dialect="lmms-eval",
    )
    assert found["val_acc@0.5"] == pytest.approx(100 * official.accuracy)
    assert found["iou"] == pytest.approx(100 * official.iou.mean())


@pytest.mark.parametrize(("right", "hit"), [(12, 1.0), (12.001, 0.0)])
def test_a_tie_is_right(tmp_path, right, hit):
    write(tmp_path, {"refcoco_val.jsonl": [line(FIRST, "dog", [0, 0, 6, 12])]})
    benchmark = Refcoco(splits=["val"])
    (item,) = items_of(benchmark, tmp_path)
    score = benchmark.score(item, {"box": [0, 0, right / WIDTH, 1]})
    assert score.values["val_acc@0.5"] == score.values["acc@0.5"] == (hit,)
    assert benchmark.score(item, None).values["iou"] == (0.0,)
    assert benchmark.score(item, None).missing == 1


def test_each_phrase_is_asked_and_each_picture_opened_once_a_split(data):
    benchmark = Refcoco()
    cases = list(benchmark.cases(data))
    assert [[item.id for item in case.items] for case in cases] == [
        [f"val/{FIRST}/0", f"val/{FIRST}/1"],
        [f"val/{SECOND}/0"],
        [f"testA/{FIRST}/0"],
        [f"testB/{SECOND}/0"],
    ]
    assert benchmark.size(data) == 4
    first = cases[0].items[0]
    assert first.text == "Where is left dog in the picture?"
    assert (first.kind, first.tasks, first.truth) == ("val", ("region",), [0, 0, 0.5, 0.5])
    assert cases[1].items[0].text == "Where is the cat in the picture?"
    assert cases[0].media.endswith(f"coco/train2014/{FIRST}.jpg")
    media = cases[0].load(choose_frames)
    assert (media.kind, media.size) == ("image", (HEIGHT, WIDTH))


def reference(number, split, **changes):
    return {
        "ref_id": number,
        "ann_id": 10 + number,
        "image_id": number,
        "category_id": 1,
        "split": split,
        "file_name": f"COCO_train2014_00000000000{number}_7.jpg",
        "sent_ids": [0],
        "sentences": [{"sent_id": 0, "sent": f"thing {number}", "raw": "", "tokens": []}],
        **changes,
    }


def test_refers_files_are_read_and_a_bad_reference_counts_once(tmp_path):
    broken = reference(1, "val", sentences=[])
    references = [reference(1, "val"), broken, reference(2, "test")]
    instances = {
        "images": [
            {"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
            for number, name in ((1, FIRST), (2, SECOND))
        ],
        "annotations": [
            {"id": number + 10, "image_id": number, "bbox": [4, 3, 8, 6]} for number in (1, 2)
        ],
    }
    files = {"refcocog/refs(umd).p": pickle.dumps(references), "refcocog/instances.json": instances}
    write(tmp_path, files)
    cases = list(Refcocog().cases(tmp_path))
    bad = [case for case in cases if isinstance(case, BadSample)]
    assert len(bad) == 1
    assert "sentences" in str(bad[0])
    items = [item for case in cases if case not in bad for item in case.items]
    assert [item.id for item in items] == [f"val/{FIRST}/0", f"test/{SECOND}/0"]
    assert items[0].truth == [4 / WIDTH, 3 / HEIGHT, 12 / WIDTH, 9 / HEIGHT]
    assert Refcocog().metrics == ("val_acc@0.5", "test_acc@0.5")


def test_bad_rows_are_quarantined_and_missing_files_named(data, tmp_path):
    rows = [line(FIRST, " . ", [0, 0, 8, 6]), line(FIRST, "dog", [0, 0, float("nan"), 6]), "no"]
    write(data, {"refcoco_testB.jsonl": rows})
    errors = [str(case) for case in Refcoco().cases(data) if isinstance(case, BadSample)]
    assert len(errors) == 3
    assert any("testB.jsonl:1: the phrase is ' . '; expected some text" in each for each in errors)
    assert any("testB.jsonl:2: the box is [0.0, 0.0, nan, 6.0]" in each for each in errors)
    with pytest.raises(
        InputError, match=rf"no file of refcoco\+ was found in {data} or in folders"
    ):
        RefcocoPlus().size(data)
    (data / "refcoco_testA.jsonl").unlink()
    with pytest.raises(InputError, match=r"refcoco_testA\.jsonl"):
        Refcoco().size(data)
    assert Refcoco(splits=["val"]).size(data) == 2
    with pytest.raises(UnknownName, match="unknown split 'train'"):
        Refcoco(splits=["train"])


def test_the_first_box_of_an_answer_counts(data):
    benchmark = Refcoco()
    item = items_of(benchmark, data)[0]
    two = replace(
        answer(), results=(("region", Box(0, 0, 1 / 3, 0.5)), ("region", Box(0, 0, 1, 1)))
    )
    assert benchmark.read(item, two, None) == {"box": [0, 0, 1 / 3, 0.5]}
    assert benchmark.read(item, answer("It is there."), None) is None


def test_splits_have_figures_of_their_own(data):
    boxes = {item.text: item.truth for item in items_of(Refcoco(), data) if item.kind != "testB"}

    def reply(question):
        box = boxes.get(question.text)
        return replace(answer(), results=(("region", Box(*box)),) if box else ())

    result = evaluate(Refcoco(), Scripted(reply, tasks=("region",)), data=data, progress=False)
    assert dict(result.metrics) == {
        "val_acc@0.5": 1.0, "testA_acc@0.5": 1.0, "testB_acc@0.5": 0.0
    }  # fmt: skip
    assert result.counts["missing"] == 1
    assert result.details["all"]["acc@0.5"] == {"mean": 0.8, "count": 5}


def test_a_missing_picture_fails_its_questions_alone(data):
    (data / f"coco/train2014/{SECOND}.jpg").unlink()
    case = list(Refcoco().cases(data))[1]
    assert case.media.endswith(f"train2014/{SECOND}.jpg")
    with pytest.raises(MediaError, match=f"{SECOND}.jpg does not exist"):
        case.load(choose_frames)
    model = Scripted(lambda question: answer(), tasks=("region",))
    result = evaluate("refcoco", model, data=data, progress=False)
    assert (result.counts["failed"], result.counts["missing"]) == (2, 3)


@pytest.mark.parametrize("name", ["refcoco", "refcoco_plus", "refcocog"])
def test_a_model_is_evaluated_and_the_result_can_be_loaded(data, tiny_model, tmp_path, name):
    dataset = {"refcoco": "refcoco", "refcoco_plus": "refcoco+", "refcocog": "refcocog"}[name]
    splits = ("val", "test") if name == "refcocog" else ("val", "testA", "testB")
    files = {f"{dataset}_{split}.jsonl": LINES["refcoco_testA.jsonl"] for split in splits}
    write(data, files)
    out = tmp_path / "result"
    model = Forced(tiny_model, "region")
    result = evaluate(name, model, data=data, progress=False, output=out)
    assert result.counts["answered"] == len(splits)
    assert all(len(one.predicted["box"]) == 4 for one in result.predictions)
    assert EvaluationResult.read(out).metrics == dict(result.metrics)
    again = score_predictions(name, out / "predictions.jsonl", data=data, progress=False)
    assert again.metrics == result.metrics


def test_an_untrained_model_is_evaluated(data, tiny_model):
    result = tpo.evaluate("refcoco", tiny_model, data=data, progress=False)
    assert (result.counts["media"], result.counts["questions"]) == (4, 5)
    assert result.counts["failed"] == result.counts["no head"] == 0
    assert result.protocol == Refcoco().protocol


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (1.0, None),
        (1000.0, r"are these pixels, or on a scale of 0 to 1000\? Expected fractions"),
        ((WIDTH, HEIGHT), "are these pixels"),
    ],
)
def test_a_file_of_predictions_in_another_scale_is_refused(data, tmp_path, scale, reason):
    items = items_of(Refcoco(), data)
    by_side = (scale * 2) if isinstance(scale, tuple) else (scale,) * 4
    rows = [
        {"id": item.id, "box": [a * b for a, b in zip(item.truth, by_side, strict=True)]}
        for item in items
    ]
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if reason is None:
        result = score_predictions("refcoco", file, data=data, progress=False)
        assert set(result.metrics.values()) == {1.0}
    else:
        with pytest.raises(InputError, match=reason):
            score_predictions("refcoco", file, data=data, progress=False)


def test_predictions_are_a_file_and_no_folder(data):
    with pytest.raises(InputError, match="benchmark refcoco reads no folder of them"):
        score_predictions("refcoco", data, data=data, progress=False)
