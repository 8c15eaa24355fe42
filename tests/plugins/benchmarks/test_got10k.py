"""GOT-10k: the figures of the toolkit, every frame tracked, the test split exported."""

from __future__ import annotations

import json
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from tests.plugins.benchmarks.moment_answers import answer, figures, golden
from tests.plugins.benchmarks.track_data import SIZE, Forced, boxes_text, write_got
from tpo_core.errors import InputError, UnknownName
from tpo_core.evaluation import evaluate
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.evaluation.result import EvaluationResult
from tpo_core.media.sampling import choose_frames
from tpo_core.records.quarantine import BadSample
from tpo_core.records.rle import encode
from tpo_core.results import EncodedMaskTrack
from tpo_plugins.benchmarks.got10k import METRICS, Got10k, Got10kTest

FRAMES = 8
BOXES = [[4 + 2 * number, 10, 16, 16] for number in range(FRAMES)]
"""The square of `write_pictures`, counted from 0."""


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "got"
    write_got(root, "GOT-10k_Val_000001", BOXES)
    write_got(root, "GOT-10k_Val_000002", BOXES[:5], cover=[8, 8, 0, 3, 8])
    for number in (1, 2):
        name = f"GOT-10k_Test_{number:06d}"
        write_got(root, name, BOXES[:1], split="test", size=None, pictures=FRAMES - number)
    return root


@pytest.fixture
def released(tmp_path):
    """Write the sequences of the golden set, without pictures, and return all of it."""
    found = golden("got10k")
    for row in found["inputs"]:
        write_got(
            tmp_path,
            row["name"],
            row["groundtruth"],
            cover=row["cover"],
            size=row["resolution"],
            pictures=0,
        )
    return found


def test_figures_are_those_of_the_toolkit(released, tmp_path):
    rows = {row["name"]: row for row in released["inputs"]}
    found = figures(Got10k(), tmp_path, lambda item: {"boxes": rows[item.id]["prediction"]})
    expected = released["expected"]
    assert found["ao"] == pytest.approx(100 * expected["AO"], abs=1e-10)
    assert found["sr@0.5"] == pytest.approx(100 * expected["SR0.5"], abs=1e-10)
    assert found["sr@0.75"] == pytest.approx(100 * expected["SR0.75_from_curve"], abs=1e-10)


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_the_curve_is_over_frames_as_the_toolkits(released, tmp_path, layout):
    path = tmp_path / "predictions"
    if layout == "file":
        rows = [{"id": row["name"], "boxes": row["prediction"]} for row in released["inputs"]]
        path.write_text(json.dumps(rows))
    else:
        for row in released["inputs"]:
            folder = path / row["name"]
            folder.mkdir(parents=True)
            lines = (",".join(map(repr, box)) + "\n" for box in row["prediction"])
            (folder / f"{row['name']}_001.txt").write_text("".join(lines))
            (folder / f"{row['name']}_time.txt").write_text("0.1\n")
    result = score_predictions("got10k", path, data=tmp_path, progress=False)
    expected = released["expected"]
    assert result.curves["success"]["y"] == pytest.approx(expected["success_curve_101"], abs=1e-6)
    assert result.curves["success"]["questions"] == 5
    assert result.details["val"]["ao"]["count"] == expected["frames_counted"]
    assert result.metrics["ao"] == pytest.approx(expected["AO"], abs=1e-6)


def test_a_sequence_without_prediction_is_a_miss_on_each_frame_that_counts(data):
    item = list(Got10k().cases(data))[1].items[0]
    score = Got10k().score(item, None)
    assert score.values == dict.fromkeys(METRICS, (0.0,) * 3)
    assert score.missing == 1
    right = Got10k().score(item, {"boxes": BOXES[:5]})
    assert right.values["ao"] == pytest.approx((1.0,) * 3)
    with pytest.raises(InputError, match="has 5 frames and 4 predictions"):
        Got10k().score(item, {"boxes": BOXES[:4]})


def test_a_frame_without_a_mask_repeats_the_previous_box(data):
    benchmark = Got10k()
    case = list(benchmark.cases(data))[1]
    (item,), media = case.items, case.load(choose_frames)
    masks = torch.zeros(5, *SIZE, dtype=torch.bool)
    masks[2, 10:26, 9:25] = True
    track = EncodedMaskTrack({number: encode(mask) for number, mask in enumerate(masks)})
    boxes = benchmark.read(item, answer("", track), media)["boxes"]
    assert boxes == [BOXES[0], BOXES[0], *[[9, 10, 16, 16]] * 3]
    assert benchmark.read(item, answer("There."), media) is None


def test_sequences_that_cannot_be_used_are_quarantined(data):
    (data / "val/GOT-10k_Val_000001/cover.label").write_text("8\n")
    with (data / "val/list.txt").open("a") as file:
        file.write("GOT-10k_Val_000003\n")
    benchmark = Got10k()
    cases = list(benchmark.cases(data))
    assert benchmark.size(data) == len(cases) == 3
    errors = [str(case) for case in cases if isinstance(case, BadSample)]
    assert "list.txt:1: " in errors[0]
    assert "has 8 boxes but 1 labels of cover; expected one each a frame" in errors[0]
    assert "GOT-10k_Val_000003/groundtruth.txt: No such file" in errors[1]
    with pytest.raises(InputError, match=r"no val/list\.txt was found in"):
        benchmark.size(data / "test")
    with pytest.raises(UnknownName, match="unknown split 'train'"):
        Got10k(split="train")


def test_the_size_comes_from_the_pictures_if_no_file_says_it(tmp_path):
    write_got(tmp_path, "GOT-10k_Val_000001", BOXES, size=None)
    (item,) = next(Got10k().cases(tmp_path)).items
    assert item.truth.size == (SIZE[1], SIZE[0])


def test_the_mask_head_goes_through_every_frame(data, tiny_model, tmp_path):
    out = tmp_path / "result"
    model = Forced(tiny_model, "mask")
    result = evaluate(Got10k(num_frames=3), model, data=data, progress=False, output=out)
    assert [len(one.predicted["boxes"]) for one in result.predictions] == [8, 5]
    found = np.array(result.predictions[0].predicted["boxes"])
    assert np.abs(found - BOXES).max() <= 1
    assert found[:, 0].tolist() == [box[0] for box in BOXES]
    assert result.metrics["sr@0.75"] == 1.0
    assert result.curves["success"]["y"][75] == 1.0
    assert EvaluationResult.read(out).metrics == dict(result.metrics)


def test_an_untrained_model_is_evaluated(data, tiny_model):
    result = evaluate("got10k", tiny_model, data=data, progress=False)
    assert result.counts["questions"] == 2
    assert result.counts["failed"] == result.counts["no head"] == 0
    assert result.protocol == Got10k().protocol


def test_the_test_split_is_exported_in_the_layout_of_the_server(data, tiny_model, tmp_path):
    result = evaluate("got10k_test", Forced(tiny_model, "mask"), data=data, progress=False)
    assert result.metrics == dict.fromkeys(METRICS)
    assert result.curves == {}
    output = tmp_path / "deep" / "submission.zip"
    Got10kTest().export(result.predictions, data, output)
    with ZipFile(output) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    first, second = "GOT-10k_Test_000001", "GOT-10k_Test_000002"
    assert sorted(texts) == [
        f"{name}/{name}_{what}.txt" for name in (first, second) for what in ("001", "time")
    ]
    lines = texts[f"{first}/{first}_001.txt"].splitlines()
    assert lines[0] == "4.000,10.000,16.000,16.000"
    assert len(lines) == FRAMES - 1
    assert texts[f"{second}/{second}_time.txt"] == "0.00000000\n" * (FRAMES - 2)
    before = output.read_bytes()
    Got10kTest().export(result.predictions, data, output)
    assert output.read_bytes() == before


def test_a_part_of_the_split_or_another_is_not_exported(data, tiny_model, tmp_path):
    output = tmp_path / "submission.zip"
    with pytest.raises(InputError, match="2 of 2 sequences of test have no prediction, such as"):
        Got10kTest().export((), data, output)
    result = evaluate(Got10k(), Forced(tiny_model, "mask"), data=data, progress=False)
    with pytest.raises(InputError, match=r"are for no question of got10k_test \(test\)"):
        Got10kTest().export(result.predictions, data, output)
    assert not output.exists()


def test_what_is_exported_scores_as_what_was_predicted(data, tiny_model, tmp_path):
    result = evaluate(Got10k(), Forced(tiny_model, "mask"), data=data, progress=False)
    Got10k().export(result.predictions, data, tmp_path / "out.zip")
    with ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "out")
    again = score_predictions("got10k", tmp_path / "out", data=data, progress=False)
    assert again.metrics == result.metrics
    assert boxes_text(again.predictions[0].predicted["boxes"]) == boxes_text(
        result.predictions[0].predicted["boxes"]
    )
