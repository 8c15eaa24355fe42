"""Ref-DAVIS17: DAVIS' unsupervised protocol for each annotator, averaged over four."""

from __future__ import annotations

from dataclasses import astuple
from zipfile import ZipFile

import numpy as np
import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.mask_data import (
    EMPTY,
    LEFT,
    RIGHT,
    bad_samples,
    items_of,
    masks,
    scores_of,
    write_pictures,
    write_rows,
)
from tests.plugins.benchmarks.moment_answers import golden
from tests.plugins.datasets.released import SIZE, block, encode, write_palette, write_text
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult, evaluate
from tpo_core.evaluation.metrics.davis import DavisSequence, davis_scores, mean_figures
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_plugins.benchmarks.ref_davis17 import ANNOTATORS, RefDavis17
from tpo_plugins.datasets.ref_davis17 import TEXTS

FIGURES = ("j&f", "j", "f")
GOLDEN = golden("davis17")["inputs"]


def write_davis(root, sequences):
    """Write label maps by video and frame, an expression of each annotator for each object."""
    davis = root / "DAVIS"
    write_text(davis / "ImageSets/2017/val.txt", "".join(f"{video}\n" for video in sequences))
    for video, maps in sequences.items():
        names = [f"{number:05d}" for number in range(len(maps))]
        for name, labels in zip(names, maps, strict=True):
            file = davis / f"Annotations_unsupervised/480p/{video}/{name}.png"
            write_palette(file, labels.astype(np.uint8))
        write_pictures(davis / "JPEGImages/480p" / video, names, size=maps[0].shape)
    for text in TEXTS:
        lines = [
            f'{video} {number} "the object {number} in {text}"\n'
            for video, maps in sequences.items()
            for number in range(1, objects_in(maps) + 1)
        ]
        write_text(root / "davis_text_annotations" / text, "".join(lines))
    return root


def objects_in(maps):
    return int(np.where(maps[0] == 255, 0, maps[0]).max())


def label_maps(frames):
    return [np.repeat(f["runs"][::2], f["runs"][1::2]).reshape(f["size"]) for f in frames]


def split_by_object(video, annotator, maps, *, objects):
    """Return the mask of each object as the prediction for its expression."""
    return {
        f"{video}/{4 * number + annotator}": masks(*(frame == number + 1 for frame in maps))
        for number in range(objects)
    }


TRUTH = {
    video: [
        np.where(LEFT, 1, np.where(RIGHT, 2, 0)),
        np.where(block(2, 2), 1, np.where(RIGHT, 2, 0)),
        np.where(RIGHT, 2, 0),
        np.where(RIGHT, 2, 0),
    ]
    for video in ("blackcat", "dog")
}


@pytest.fixture
def data(tmp_path):
    return write_davis(tmp_path, TRUTH)


def right(*, annotators=range(4)):
    """Return the right masks for all expressions of some annotators."""
    predicted = {}
    for video, maps in TRUTH.items():
        for annotator in annotators:
            predicted |= split_by_object(video, annotator, maps, objects=2)
    return predicted


def rows_of(predicted):
    return [{"id": name, **fields} for name, fields in predicted.items()]


def test_figures_are_the_mean_of_four_official_runs(tmp_path):
    truth = {video: label_maps(row["gt"]) for video, row in GOLDEN.items()}
    objects = {video: objects_in(maps) for video, maps in truth.items()}
    assert any((frame == 255).any() for maps in truth.values() for frame in maps)
    root = write_davis(tmp_path, truth)
    predicted, runs = {}, []
    for annotator in range(4):
        sequences = []
        for video, row in GOLDEN.items():
            said = np.stack(label_maps(row["pred"]))
            said = np.where(said > objects[video], 0, said)
            if annotator == 1:  # all objects called by another's expression
                said = np.where(said > 0, objects[video] + 1 - said, 0)
            if annotator == 2:
                said = np.roll(said, 3, axis=0)
            if annotator == 3:
                said[:, : said.shape[1] // 2] = 0
            predicted |= split_by_object(video, annotator, said, objects=objects[video])
            sequences.append(
                DavisSequence(name=video, truth=np.stack(truth[video]), predicted=said)
            )
        runs.append(davis_scores(sequences, task="unsupervised")[0])
    assert len({run.jf for run in runs}) >= 3
    expected = mean_figures(runs)
    file = write_rows(tmp_path / "rows.jsonl", rows_of(predicted))
    result = score_predictions("ref_davis17", file, data=root, progress=False)
    official = {"j&f": expected.jf, "j": expected.j, "f": expected.f}
    assert result.metrics == pytest.approx(official, abs=1e-6)
    for annotator, run in zip(ANNOTATORS, runs, strict=True):
        figures = {name: row["mean"] for name, row in result.details[annotator].items()}
        names = ("j", "j_recall", "f", "f_recall")
        j, j_recall, _, f, f_recall, _ = astuple(run)
        assert [figures[name] for name in names] == pytest.approx(
            [j, j_recall, f, f_recall], abs=1e-6
        )


def test_expressions_of_one_annotator_may_be_mistaken_for_each_other(data):
    predicted = right()
    for video in TRUTH:
        first, second = predicted[f"{video}/1"], predicted[f"{video}/5"]
        predicted |= {f"{video}/1": second, f"{video}/5": first}
    found = scores_of(RefDavis17(), data, predicted)
    assert {score.values["j&f"] for score in found.values()} == {(1.0,)}
    assert found["dog/4"].truth["masks"]["3"] == encode(RIGHT)


def test_a_missing_answer_is_an_empty_proposal_unless_strict(data):
    predicted = right()
    del predicted["dog/0"]
    predicted["dog/1"] = masks(None, EMPTY, None, EMPTY)
    found = scores_of(RefDavis17(), data, predicted)
    for name in ("dog/0", "dog/1"):  # the object is hidden on two of four frames
        assert (found[name].values["j"], found[name].values["f"]) == ((0.5,), (0.5,))
    assert (found["dog/0"].missing, found["dog/1"].missing) == (1, 0)
    strict = scores_of(RefDavis17(strict=True), data, predicted)
    assert {strict[name].values["j&f"] for name in ("dog/0", "dog/1")} == {(0.0,)}
    rest = predicted.keys() - {"dog/0", "dog/1"}
    assert {strict[name].values["j&f"] for name in rest} == {(1.0,)}


def test_a_pixel_in_several_masks_belongs_to_the_lowest_number(data):
    predicted = right()
    predicted["dog/4"] = masks(*[LEFT | RIGHT] * 4)
    expected = np.stack(
        [np.where(frame == 1, 1, np.where(LEFT | RIGHT, 2, 0)) for frame in TRUTH["dog"]]
    )
    sequence = DavisSequence(name="s", truth=np.stack(TRUTH["dog"]), predicted=expected)
    _, each = davis_scores([sequence], task="unsupervised")
    found = scores_of(RefDavis17(), data, predicted)
    for name, figures in zip(("dog/0", "dog/4"), each.values(), strict=True):
        assert found[name].values["j&f"] == (figures.jf,)
    assert found["dog/4"].values["j&f"] < (1.0,)


def test_one_expression_scores_as_its_annotators_only_one(data):
    item = items_of(RefDavis17(), data)["dog/4"]
    score = RefDavis17().score(item, right()["dog/4"])
    assert score.values["j&f"] == (1.0,)


def test_a_model_is_asked_about_every_expression(data, tmp_path, tiny_model):
    folder = tmp_path / "run"
    result = evaluate("ref_davis17", tiny_model, data=data, progress=False, output=folder)
    assert result.counts["media"] == 2
    assert result.counts["questions"] == 16
    assert set(result.details) == {"all", *ANNOTATORS}
    again = EvaluationResult.read(folder)
    assert (again.metrics, again.predictions) == (result.metrics, result.predictions)
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "ref_davis17")
    assert spec.metrics == tuple(result.metrics) == FIGURES


def test_label_maps_are_exported_and_read_again(data, tmp_path):
    predicted = right(annotators=(0, 2))
    predicted["dog/0"] = masks(LEFT, None, None, RIGHT)
    file = write_rows(tmp_path / "rows.jsonl", rows_of(predicted))
    result = score_predictions("ref_davis17", file, data=data, progress=False)
    RefDavis17().export(result.predictions, data, tmp_path / "maps.zip")
    with ZipFile(tmp_path / "maps.zip") as archive:
        archive.extractall(tmp_path / "maps")
    names = [path.relative_to(tmp_path / "maps") for path in (tmp_path / "maps").glob("*/*/*.png")]
    assert len(names) == 4 * 2 * 4
    again = score_predictions("ref_davis17", tmp_path / "maps", data=data, progress=False)
    assert again.metrics == result.metrics
    assert again.counts["missing"] == result.counts["missing"] == 8
    with pytest.raises(InputError, match="holds no masks; expected anno_<0 to 3>/<video>"):
        score_predictions("ref_davis17", data, data=data, progress=False)


def test_videos_whose_expressions_do_not_fit_are_quarantined(data):
    text = data / "davis_text_annotations" / TEXTS[2]
    lines = text.read_text().splitlines()
    write_text(text, "\n".join(lines[1:]) + '\ndog 3 "a ghost"\n')
    bad = bad_samples(RefDavis17(), data)
    assert len(bad) == RefDavis17().size(data) == 2
    assert "shows 2 objects, and object 1 is not both there and in Davis17_annot2" in bad[0].reason
    assert "and object 3 is not both there and in Davis17_annot2.txt" in bad[1].reason
    text.unlink()
    with pytest.raises(InputError, match=r"no Davis17_annot2\.txt was found in"):
        RefDavis17().size(data)


def test_masks_of_another_size_are_named(data, tmp_path):
    wrong = {"id": "dog/0", "masks": [encode(block(0, 0, size=(SIZE[1], SIZE[0])))] * 4}
    file = write_rows(tmp_path / "rows.jsonl", [wrong])
    with pytest.raises(InputError, match=r"'dog/0': masks of frame 0 has height and width \[16"):
        score_predictions("ref_davis17", file, data=data, progress=False)
