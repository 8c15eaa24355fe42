"""LaSOT: the figures of the authors' toolkit, every frame tracked, files of trackers scored."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.plugins.benchmarks.moment_answers import Scripted, answer, figures, golden
from tests.plugins.benchmarks.track_data import SIZE, Forced, boxes_text, write_lasot
from tpo_core.errors import InputError, MediaError
from tpo_core.evaluation import evaluate
from tpo_core.evaluation.metrics.lasot import lasot_curves, lasot_scores
from tpo_core.evaluation.metrics.lasot_frames import LasotSequence
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.evaluation.result import EvaluationResult
from tpo_core.media.sampling import choose_frames
from tpo_core.records.quarantine import BadSample
from tpo_core.results import EncodedMaskTrack, MaskTrack
from tpo_plugins.benchmarks.lasot import CURVES, METRICS, Lasot
from tpo_plugins.datasets.lasot import test_names as names_of_split

NAMES = sorted(names_of_split())
FRAMES = 20
BOXES = [[5 + 2 * number, 11, 16, 16] for number in range(FRAMES)]
"""The square of `write_pictures`, counted from 1."""


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "lasot"
    write_lasot(root, "dog-1", BOXES)
    write_lasot(root, "bird-17", BOXES[:6], occluded=[0, 0, 0, 0, 1, 0], pictures=8)
    return root


@pytest.fixture
def released(tmp_path):
    """Write the sequences of the golden set, without pictures, and return all of it."""
    found = golden("lasot")
    for name, row in zip(NAMES, found["inputs"], strict=False):
        write_lasot(
            tmp_path,
            name,
            row["groundtruth"],
            occluded=row["full_occlusion"],
            out=row["out_of_view"],
            pictures=0,
        )
    return found


def items_of(benchmark, data):
    return [
        item
        for case in benchmark.cases(data)
        if not isinstance(case, BadSample)
        for item in case.items
    ]


def test_figures_are_those_of_the_authors_toolkit(released, tmp_path):
    rows = dict(zip(NAMES, released["inputs"], strict=False))
    found = figures(Lasot(), tmp_path, lambda item: {"boxes": rows[item.id]["prediction"]})
    expected = released["expected"]["official_matlab"]
    assert found["success_auc"] == pytest.approx(expected["success_AUC"], abs=1e-10)
    assert found["precision@20"] == pytest.approx(expected["precision_20px"], abs=1e-10)
    assert found["normalised_precision@0.2"] == pytest.approx(
        expected["norm_precision_0_2"], abs=1e-10
    )
    curves = expected["per_sequence_success_curve"].values()
    assert found["op50"] == pytest.approx(100 * np.mean([curve[10] for curve in curves]))
    assert found["op75"] == pytest.approx(100 * np.mean([curve[15] for curve in curves]))


def test_curves_of_a_file_of_predictions_are_those_of_the_toolkit(released, tmp_path):
    rows = [
        {"id": name, "boxes": row["prediction"]}
        for name, row in zip(NAMES, released["inputs"], strict=False)
    ]
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = score_predictions("lasot", file, data=tmp_path, progress=False)
    expected = released["expected"]["official_matlab"]
    for name, key in (("success", "success"), ("normalised_precision", "norm_precision")):
        curves = list(expected[f"per_sequence_{key}_curve"].values())
        assert result.curves[name]["y"] == pytest.approx(np.mean(curves, axis=0), abs=1e-6)
    assert result.metrics["success_auc"] == pytest.approx(expected["success_AUC"] / 100, abs=1e-6)
    assert (result.counts["questions"], result.counts["quarantined"]) == (6, 274)
    assert "groundtruth.txt" in result.notes[0]


def test_a_sequence_without_a_hit_is_left_out_unless_strict(tmp_path):
    write_lasot(tmp_path, "dog-1", [[5, 5, 9, 9]] * 3, occluded=[1, 1, 0], pictures=0)
    write_lasot(tmp_path, "dog-7", [[5, 5, 9, 9]] * 3, pictures=0)
    boxes = {"dog-1": [[500, 500, 9, 9]] * 3, "dog-7": [[5, 5, 9, 9]] * 3}

    def run(benchmark):
        return figures(benchmark, tmp_path, lambda item: {"boxes": boxes[item.id]})

    found = run(Lasot())
    sequences = [
        LasotSequence(
            name=item.id,
            truth=item.truth.boxes,
            prediction=boxes[item.id],
            absent=item.truth.absent,
        )
        for item in items_of(Lasot(), tmp_path)
    ]
    official = lasot_scores(lasot_curves(sequences))
    assert found["success_auc"] == pytest.approx(100 * official.auc)
    assert found["success_auc"] == pytest.approx(100 * 20 / 21)
    assert run(Lasot(strict=True))["success_auc"] == pytest.approx(50 * 20 / 21)


def test_strict_counts_frames_without_a_box_and_invalid_labels_as_misses(tmp_path):
    truth = [[5, 5, 9, 9], [5, 5, 9, 9], [5, 5, -1, 9], [5, 5, 9, 9]]
    write_lasot(tmp_path, "dog-1", truth, pictures=0)
    (item,) = items_of(Lasot(), tmp_path)
    predicted = {"boxes": [[5, 5, 9, 9], [5, 5, 9, 9], [5, 5, 9, 9], [0, 0, 0, 0]]}
    official = Lasot().score(item, predicted)
    assert official.values["op50"] == (0.75,)
    assert official.values["precision@20"] == (1.0,)
    strict = Lasot(strict=True).score(item, predicted)
    assert strict.values["op50"] == strict.values["precision@20"] == (0.5,)
    assert strict.values["normalised_precision@0.2"] == (0.5,)
    assert Lasot(strict=True).protocol != Lasot().protocol


def test_a_sequence_without_prediction_scores_0_in_every_figure(data):
    item = items_of(Lasot(), data)[0]
    score = Lasot().score(item, None)
    assert score.values == dict.fromkeys(METRICS, (0.0,))
    assert {name: len(heights) for name, heights in score.curves.items()} == {
        name: len(curve.x) for name, curve in CURVES.items()
    }
    assert score.missing == 1


def test_the_first_box_asks_and_some_frames_are_looked_at(data):
    case = list(Lasot(num_frames=4).cases(data))[1]
    (item,) = case.items
    assert (item.id, item.kind, item.tasks) == ("dog-1", "dog", ("mask",))
    (prompt,) = item.boxes
    height, width = SIZE
    expected = [4 / width, 10 / height, 20 / width, 26 / height]
    assert prompt.box == pytest.approx(expected, abs=1e-6)
    media = case.load(choose_frames)
    assert media.indices[0] == 0
    assert len(media.indices) == 4
    assert len(media.every_frame) == media.total_frames == FRAMES
    assert media.duration == pytest.approx(FRAMES / 30)


def test_pictures_after_the_last_label_are_no_frames(data):
    media = next(Lasot().cases(data)).load(choose_frames)
    assert (media.indices, len(media.every_frame), media.total_frames) == (tuple(range(6)), 6, 6)


def test_pictures_that_lack_fail_the_question_alone(data, tmp_path):
    (data / "dog/dog-1/img/00000020.jpg").unlink()
    case = list(Lasot().cases(data))[1]
    with pytest.raises(MediaError, match="has 19 pictures but 20 frames are labelled"):
        case.load(choose_frames)
    write_lasot(tmp_path / "bare", "dog-1", BOXES, pictures=0)
    case = next(Lasot().cases(tmp_path / "bare"))
    with pytest.raises(MediaError, match="is a folder without pictures"):
        case.load(choose_frames)
    model = Scripted(lambda question: answer(), tasks=("mask", "region"))
    result = evaluate("lasot", model, data=tmp_path / "bare", progress=False)
    assert result.counts["failed"] == 1
    assert result.metrics["success_auc"] == 0


def test_sequences_that_lack_or_are_malformed_are_quarantined(data):
    (data / "dog/dog-1/full_occlusion.txt").write_text("0,0")
    (data / "bird/bird-17/groundtruth.txt").write_text("90,90,4,4\n" * 6)
    benchmark = Lasot()
    cases = list(benchmark.cases(data))
    assert benchmark.size(data) == len(cases) == 280
    assert all(isinstance(case, BadSample) for case in cases)
    assert "the first box [90.0, 90.0, 4.0, 4.0] has no area in the picture of 64" in str(cases[0])
    assert "has 20 boxes but 2 flags of occlusion" in str(cases[1])
    assert "airplane-1/groundtruth.txt: No such file" in str(cases[2])
    with pytest.raises(InputError, match="no sequence of LaSOT's test split is in"):
        benchmark.size(data / "dog/dog-1/img")


def test_the_mask_head_goes_through_every_frame(data, tiny_model, tmp_path):
    model = Forced(tiny_model, "mask")
    out = tmp_path / "result"
    result = evaluate(Lasot(num_frames=4), model, data=data, limit=2, progress=False, output=out)
    bird, dog = result.predictions
    assert [len(one.predicted["boxes"]) for one in (bird, dog)] == [6, FRAMES]
    assert [len(question.media.indices) for question in model.asked] == [4, 4]
    # The embedded SAM2 follows the square; pixels count from 1, as in the labels.
    assert np.abs(np.array(dog.predicted["boxes"]) - BOXES).max() <= 1
    assert [box[0] for box in dog.predicted["boxes"]] == [box[0] for box in BOXES]
    assert result.metrics["op75"] > 0.9
    assert EvaluationResult.read(out).metrics == dict(result.metrics)
    again = score_predictions("lasot", out / "predictions.jsonl", data=data, progress=False)
    assert again.metrics == result.metrics


def test_an_untrained_model_is_evaluated(data, tiny_model):
    result = evaluate("lasot", tiny_model, data=data, limit=2, progress=False)
    assert result.counts["questions"] == 2
    assert result.counts["failed"] == result.counts["no head"] == 0
    assert result.protocol == Lasot().protocol


def test_an_answer_without_masks_or_with_too_few_of_them_is_told(data):
    benchmark = Lasot()
    case = next(benchmark.cases(data))
    (item,), media = case.items, case.load(choose_frames)
    assert benchmark.read(item, answer("There."), media) is None
    few = MaskTrack(torch.zeros(2, *SIZE, dtype=torch.bool), indices=(0, 3), times=(0.0, 0.1))
    with pytest.raises(InputError, match="gave masks on 2 of the 6 frames of bird-17; expected"):
        benchmark.read(item, answer("", few), media)
    empty = {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}
    track = EncodedMaskTrack(dict.fromkeys(range(6), empty))
    boxes = benchmark.read(item, answer("", track), media)["boxes"]
    assert boxes == [BOXES[0], *[[0.0, 0.0, 0.0, 0.0]] * 5]


@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_a_folder_that_a_tracker_wrote_is_scored(data, tmp_path, separator):
    folder = tmp_path / "tracker"
    folder.mkdir()
    for name, rows in (("dog-1", BOXES), ("bird-17", BOXES[:6])):
        (folder / f"{name}.txt").write_text(boxes_text(rows, separator))
        (folder / f"{name}_time.txt").write_text("0.1\n" * len(rows))
    result = score_predictions("lasot", folder, data=data, progress=False)
    assert result.details["dog"]["success_auc"]["mean"] == pytest.approx(20 / 21, abs=1e-6)
    assert result.details["bird"]["op50"]["mean"] == pytest.approx(5 / 6, abs=1e-6)
    again = score_predictions("lasot", folder, data=data, progress=False)
    assert again.model == result.model
    (folder / "dog-1.txt").write_text(boxes_text(BOXES[:-1], separator))
    with pytest.raises(InputError, match="dog-1 has 20 frames, 19 predictions"):
        score_predictions("lasot", folder, data=data, progress=False)
    (folder / "dog-1.txt").write_text("1,2,3\n")
    with pytest.raises(InputError, match=r"dog-1\.txt:1: the line is '1,2,3'"):
        score_predictions("lasot", folder, data=data, progress=False)


def test_wrong_files_of_predictions_are_refused(data, tmp_path):
    with pytest.raises(InputError, match=r"holds no <sequence>\.txt"):
        score_predictions("lasot", tmp_path, data=data, progress=False)
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"id": "dog-1", "boxes": [[0.1, 0.1, 0.2, 0.2]] * FRAMES}))
    with pytest.raises(InputError, match=r"largest number of boxes is 0\.2; are these fractions"):
        score_predictions("lasot", file, data=data, progress=False)
    file.write_text(json.dumps({"id": "dog-1", "boxes": [[1, 2, 3]]}))
    with pytest.raises(InputError, match=r"expected a list of \[x, y, width, height\] in pixels"):
        score_predictions("lasot", file, data=data, progress=False)
