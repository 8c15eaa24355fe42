"""MeViS: the official script's figures, masks on every frame, and the server's zip."""

from __future__ import annotations

import json
from zipfile import ZipFile

import numpy as np
import pytest
import torch

import tpo_core as tpo
from tests.plugins.benchmarks.mask_data import (
    EMPTY,
    LEFT,
    RIGHT,
    bad_samples,
    items_of,
    masks,
    means,
    pictures_in,
    scores_of,
    write_pictures,
    write_rows,
)
from tests.plugins.benchmarks.moment_answers import answer, golden
from tests.plugins.datasets.released import SIZE, block, encode, write_json
from tpo_core.errors import InputError, MediaError
from tpo_core.evaluation import EvaluationResult, evaluate
from tpo_core.evaluation.metrics.expressions import Expression, expression_scores
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_core.inference import Question
from tpo_core.media.sampling import choose_frames
from tpo_core.results import Box, EncodedMaskTrack, MaskTrack
from tpo_plugins.benchmarks.mevis import Mevis, MevisValid

GOLDEN = golden("mevis")
NAMES = ("00000", "00005", "00010", "00015", "00020")
FIGURES = ("j&f", "j", "f")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The golden set's release; one picture a video gives its size, scoring opens none."""
    root = tmp_path_factory.mktemp("mevis")
    inputs = GOLDEN["inputs"]
    write_json(root / "valid_u/meta_expressions.json", inputs["meta_expressions"])
    write_json(root / "valid_u/mask_dict.json", inputs["mask_dict"])
    for video, row in inputs["meta_expressions"]["videos"].items():
        annotation = str(row["expressions"]["0"]["anno_id"][0])
        size = next(tuple(rle["size"]) for rle in inputs["mask_dict"][annotation] if rle)
        write_pictures(root / "valid_u/JPEGImages" / video, row["frames"][:1], size=size)
    return root


@pytest.fixture
def data(tmp_path):
    """Two videos of five frames; both objects are hidden in the last two."""
    expressions = {
        "0": {"exp": "The dogs that run\n left.", "obj_id": [0, 1], "anno_id": [11, 13]},
        "1": {"exp": "the dog that stops", "obj_id": [0], "anno_id": [11]},
    }
    video = {"frames": list(NAMES), "expressions": expressions}
    hidden = {
        "frames": list(NAMES),
        "expressions": {key: {"exp": row["exp"]} for key, row in expressions.items()},
    }
    left, right = encode(LEFT), encode(RIGHT)
    annotations = {"11": [left, left, left, None, None], "13": [right, None, right, None, None]}
    write_json(tmp_path / "valid_u/meta_expressions.json", {"videos": {"v": video, "w": video}})
    write_json(tmp_path / "valid_u/mask_dict.json", annotations)
    write_json(tmp_path / "valid/meta_expressions.json", {"videos": {"a": hidden, "b": hidden}})
    for place in ("valid_u/JPEGImages/v", "valid_u/JPEGImages/w", "valid/JPEGImages/a"):
        write_pictures(tmp_path / place, NAMES)
    write_pictures(tmp_path / "valid/JPEGImages/b", NAMES, size=(10, 14))
    return tmp_path


def golden_rows():
    return [
        {"id": f"{video}/{key}", "masks": rles}
        for video, row in GOLDEN["inputs"]["predictions"].items()
        for key, rles in row.items()
    ]


def test_figures_are_those_of_the_official_script(released):
    predicted = {row["id"]: {"masks": row["masks"]} for row in golden_rows()}
    found = scores_of(Mevis(), released, predicted)
    expected = GOLDEN["expected"]
    assert {key.replace("/", "_") for key in found} == expected["per_expression"].keys()
    for key, score in found.items():
        each = expected["per_expression"][key.replace("/", "_")]
        assert (*score.values["j"], *score.values["f"]) == pytest.approx(each, abs=1e-12)
    whole = {name: expected[name.upper()] for name in FIGURES}
    assert means(found.values()) == pytest.approx(whole, abs=1e-12)


def test_a_file_of_predictions_is_scored_and_lacking_rows_score_0(released, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", golden_rows())
    result = score_predictions("mevis", file, data=released, progress=False)
    expected = {name: GOLDEN["expected"][name.upper()] for name in FIGURES}
    assert result.metrics == pytest.approx(expected, abs=1e-6)
    assert result.counts["missing"] == 4
    lacking = [one for one in result.predictions if one.status == "missing"]
    assert {one.id.split("/")[0] for one in lacking} == {GOLDEN["inputs"]["missing_video"]}
    assert {one.scores["j&f"] for one in lacking} == {(0.0,)}


def test_frames_go_by_place_number_or_name(data):
    benchmark = Mevis()
    frames = [encode(mask) for mask in (LEFT, RIGHT, LEFT | RIGHT, EMPTY)] + [None]
    forms = [
        frames,
        {str(number): mask for number, mask in reversed(list(enumerate(frames)))},
        dict(zip(NAMES, frames, strict=True)),
    ]
    found = [scores_of(benchmark, data, {"v/0": {"masks": form}})["v/0"] for form in forms]
    truth = np.stack([LEFT | RIGHT, LEFT, LEFT | RIGHT, EMPTY, EMPTY])
    said = np.stack([LEFT, RIGHT, LEFT | RIGHT, EMPTY, EMPTY])
    expected = expression_scores([Expression(name="v", truth=truth, predicted=said)])
    for score in found:
        assert score.values == {"j&f": (expected.jf,), "j": (expected.j,), "f": (expected.f,)}
        assert score.truth["masks"]["0"] == encode(LEFT | RIGHT)
    assert expected.j == pytest.approx((0.5 + 0 + 1 + 1 + 1) / 5)


def test_empty_masks_pay_on_frames_without_the_object_unless_strict(data):
    nothing = {name: masks(*[None] * 5) for name in ("v/0", "v/1", "w/0", "w/1")}
    assert means(scores_of(Mevis(), data, nothing).values()) == dict.fromkeys(FIGURES, 0.4)
    strict = Mevis(strict=True)
    assert means(scores_of(strict, data, nothing).values()) == dict.fromkeys(FIGURES, 0.0)
    wrong = {**nothing, "v/0": masks(RIGHT, None, None, None, None)}
    assert scores_of(strict, data, wrong)["v/0"].values["j"] == pytest.approx((0.5,))
    assert strict.protocol != Mevis().protocol
    missing = scores_of(Mevis(), data, {})["v/0"]
    assert (missing.values["j&f"], missing.missing) == ((0.0,), 1)


def test_nothing_is_right_for_an_object_that_is_never_visible(data):
    file = data / "valid_u/mask_dict.json"
    write_json(file, {**json.loads(file.read_text()), "11": [None] * 5})
    nothing = {"v/1": masks(*[None] * 5)}
    for benchmark in (Mevis(), Mevis(strict=True)):
        found = scores_of(benchmark, data, nothing)
        assert (found["v/1"].values["j&f"], found["w/1"].values["j&f"]) == ((1.0,), (0.0,))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            {"id": "v/0", "masks": [encode(block(0, 0, size=(10, 16)))] * 5},
            r"'v/0': masks of frame 0 has height and width \[10, 16\], the picture has \[12, 16\]",
        ),
        ({"id": "v/0", "masks": [None] * 4}, r"v/0 has no mask on 1 of 5 frames, such as '4'"),
        (
            {"id": "v/0", "masks": dict.fromkeys(["0", "5", "10", "15", "20"])},
            r"v/0 has 5 masks on frames that are not the video's, such as '0'; expected numbers "
            "from '0' to '4' or names such as '00000'",
        ),
        (
            {"id": "v/0", "masks": {**dict.fromkeys(NAMES[:4]), "00021": None}},
            "v/0 has 1 masks on frames that are not the video's, such as '00021'",
        ),
        (
            {"id": "v/0", "masks": [{"size": list(SIZE), "counts": "11"}, *[None] * 4]},
            r"v/0, frame 00000: the mask cannot be used: run lengths cover 2 pixels",
        ),
        ({"id": "v/7", "masks": []}, r"'v/7' is no known id \(they are like 'v/0'\)"),
    ],
)
def test_wrong_files_are_refused(data, tmp_path, rows, reason):
    file = write_rows(tmp_path / "rows.jsonl", [rows])
    with pytest.raises(InputError, match=reason):
        score_predictions("mevis", file, data=data, progress=False)


def test_a_model_is_asked_and_its_result_can_be_read_again(data, tmp_path, tiny_model):
    folder = tmp_path / "run"
    result = evaluate("mevis", tiny_model, data=data, progress=False, output=folder)
    assert result.counts["questions"] == 4
    assert result.counts["media"] == 2
    assert result.protocol["split"] == "valid_u"
    assert set(result.details) == {"all", "one object", "several objects"}
    assert result.predictions[0].question.endswith("this describes: the dogs that run left.")
    again = EvaluationResult.read(folder)
    assert (again.metrics, again.predictions) == (result.metrics, result.predictions)
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "mevis")
    assert spec.metrics == Mevis.metrics == tuple(result.metrics)


def test_every_frame_is_segmented_whichever_were_looked_at(data, tiny_model):
    benchmark = Mevis(num_frames=2)
    case = next(iter(benchmark.cases(data)))
    media = case.load(tiny_model.backbone.choose_frames)
    assert media.indices == (0, 3)
    questions = [Question(media, item.text, task="mask") for item in case.items]
    for item, found in zip(case.items, tiny_model.predict_batch(questions), strict=True):
        fields = benchmark.read(item, found, media)
        assert list(fields["masks"]) == ["0", "1", "2", "3", "4"]
        assert {tuple(rle["size"]) for rle in fields["masks"].values()} == {SIZE}
        assert 0 <= benchmark.score(item, fields).values["j&f"][0] <= 1


def test_all_masks_of_an_answer_count(data):
    benchmark, item = Mevis(), items_of(Mevis(), data)["v/0"]

    def track(*frames):
        return EncodedMaskTrack(frames=dict(enumerate(map(encode, frames))))

    both = answer("", track(LEFT, LEFT, EMPTY, EMPTY, EMPTY), Box(0, 0, 1, 1), track(*[RIGHT] * 5))
    fields = benchmark.read(item, both, None)
    expected = [LEFT | RIGHT, LEFT | RIGHT, RIGHT, RIGHT, RIGHT]
    assert fields["masks"] == {str(n): encode(mask) for n, mask in enumerate(expected)}
    assert benchmark.read(item, answer("no", Box(0, 0, 1, 1)), None) is None
    sampled = MaskTrack(masks=torch.zeros(2, *SIZE).bool(), indices=(0, 3), times=(0.0, 0.5))
    with pytest.raises(InputError, match="gave masks on 2 of the video's 5 frames"):
        benchmark.read(item, answer("", sampled), None)


def test_listed_pictures_alone_are_frames(data):
    pictures = data / "valid_u/JPEGImages/v"
    write_pictures(pictures, ["00002"])
    case = next(iter(Mevis().cases(data)))
    media = case.load(choose_frames)
    assert (media.total_frames, media.indices) == (5, (0, 1, 2, 3, 4))
    assert media.times.tolist() == pytest.approx([number / 6 for number in range(5)])
    (pictures / "00010.jpg").unlink()
    with pytest.raises(MediaError, match=r"frame 00010 is not in .*/v, which lacks 1 of 5 listed"):
        case.load(choose_frames)


def test_expressions_whose_media_cannot_be_read_have_failed(data, tiny_model):
    for picture in (data / "valid_u/JPEGImages/v").iterdir():
        picture.unlink()
    result = evaluate("mevis", tiny_model, data=data, progress=False)
    failed = [one for one in result.predictions if one.status == "failed"]
    assert [one.id for one in failed] == ["v/0", "v/1"]
    assert "is a folder without pictures" in failed[0].reason
    assert failed[0].scores["j&f"] == (0.0,)


def test_bad_rows_are_quarantined_and_missing_files_named(data):
    file = data / "valid_u/mask_dict.json"
    annotations = json.loads(file.read_text())
    annotations["13"] = annotations["13"][:3]
    write_json(file, annotations)
    benchmark = Mevis()
    bad = bad_samples(benchmark, data)
    assert [sample.field for sample in bad] == ["v.expressions.0", "w.expressions.0"]
    assert "annotation 13 of" in bad[0].reason
    assert benchmark.size(data) == 4
    assert list(items_of(benchmark, data)) == ["v/1", "w/1"]
    file.unlink()
    with pytest.raises(InputError, match=r"no mask_dict\.json was found in .*valid_u"):
        benchmark.size(data)
    with pytest.raises(InputError, match=r"no valid_u/meta_expressions\.json was found in"):
        benchmark.size(data / "valid")


def test_valid_has_no_figures_but_a_zip_for_its_server(data, tmp_path, tiny_model):
    rows = [
        {"id": "a/0", **masks(LEFT, None, RIGHT, None, LEFT)},
        {"id": "b/1", **masks(*[block(1, 1, size=(10, 14))] * 5)},
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = score_predictions("mevis_valid", file, data=data, progress=False)
    assert result.metrics == dict.fromkeys(FIGURES)
    assert result.counts["missing"] == 2
    MevisValid().export(result.predictions, data, tmp_path / "out/valid.zip")
    found = pictures_in(tmp_path / "out/valid.zip")
    assert sorted(found) == [
        f"{video}/{key}/{name}.png" for video in "ab" for key in "01" for name in NAMES
    ]
    assert np.array_equal(found["a/0/00010.png"], RIGHT * np.uint8(255))
    assert not found["a/0/00005.png"].any()
    assert found["b/0/00000.png"].shape == (10, 14)  # no prediction: empty, in the picture's size
    with pytest.raises(InputError, match="4 expressions are to be exported and 3 have been asked"):
        MevisValid().export(result.predictions[1:], data, tmp_path / "part.zip")
    assert not (tmp_path / "part.zip").exists()
    asked = evaluate("mevis_valid", tiny_model, data=data, progress=False)
    assert asked.metrics == dict.fromkeys(FIGURES)


def test_what_is_exported_scores_the_same_as_a_tree(data, tmp_path):
    rows = [
        {"id": f"{video}/{key}", **masks(LEFT, RIGHT, LEFT | RIGHT, None, LEFT)}
        for video in "vw"
        for key in "01"
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = score_predictions("mevis", file, data=data, progress=False)
    Mevis().export(result.predictions, data, tmp_path / "tree.zip")
    with ZipFile(tmp_path / "tree.zip") as archive:
        archive.extractall(tmp_path / "tree")
    again = score_predictions("mevis", tmp_path / "tree", data=data, progress=False)
    assert again.metrics == result.metrics
    assert 0.3 < result.metrics["j"] < 0.9
    with pytest.raises(InputError, match="holds no masks; expected <video>/<expression>/<frame>"):
        score_predictions("mevis", tmp_path / "tree/v", data=data, progress=False)
