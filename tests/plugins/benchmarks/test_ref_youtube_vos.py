"""Ref-YouTube-VOS: the zip for the server, and J and F where masks are released."""

from __future__ import annotations

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
    means,
    pictures_in,
    scores_of,
    write_pictures,
    write_rows,
)
from tests.plugins.datasets.released import block, encode, write_json, write_palette
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult, evaluate
from tpo_core.evaluation.metrics.expressions import Expression, expression_scores
from tpo_core.evaluation.prediction_file import score_predictions
from tpo_plugins.benchmarks.ref_youtube_vos import RefYoutubeVos, RefYoutubeVosTrain

NAMES = ("00000", "00005", "00010")
FIGURES = ("j&f", "j", "f")


@pytest.fixture
def data(tmp_path):
    """A training video of two objects, one hidden at the end; a validation and a test video."""
    base = tmp_path / "ref-youtube-vos"
    expressions = {
        "0": {"exp": "a cat on the left", "obj_id": "2"},
        "1": {"exp": "A dog", "obj_id": "1"},
    }
    video = {"expressions": expressions, "frames": list(NAMES)}
    hidden = {"expressions": {"0": {"exp": "a cat"}, "1": {"exp": "a dog"}}, "frames": list(NAMES)}
    released = {
        "train": {"t1": video, "t2": video},
        "valid": {"v1": hidden, "x1": hidden},
        "test": {"x1": hidden},
    }
    for split, videos in released.items():
        write_json(base / f"meta_expressions/{split}/meta_expressions.json", {"videos": videos})
    both = np.where(LEFT, 2, np.where(RIGHT, 1, 0)).astype(np.uint8)
    for name in ("t1", "t2"):
        for frame, labels in zip(NAMES, (both, both, np.where(RIGHT, 1, 0)), strict=True):
            write_palette(base / f"train/Annotations/{name}/{frame}.png", labels.astype(np.uint8))
        write_pictures(base / "train/JPEGImages" / name, NAMES)
    write_pictures(base / "valid/JPEGImages/v1", NAMES)
    return tmp_path


def test_train_is_averaged_over_annotated_frames_then_expressions(data):
    said = {
        "t1/0": (LEFT, block(2, 3), EMPTY),
        "t1/1": (RIGHT, EMPTY, LEFT),
        "t2/1": (RIGHT, RIGHT, RIGHT),
    }
    predicted = {name: masks(*frames) for name, frames in said.items()}
    found = scores_of(RefYoutubeVosTrain(), data, predicted)
    truth = {"0": np.stack([LEFT, LEFT, EMPTY]), "1": np.stack([RIGHT] * 3)}
    expected = expression_scores(
        Expression(
            name=name,
            truth=truth[name[-1]],
            predicted=np.stack(said[name]) if name in said else None,
        )
        for name in found
    )
    assert list(found) == ["t1/0", "t1/1", "t2/0", "t2/1"]
    whole = {"j&f": expected.jf, "j": expected.j, "f": expected.f}
    assert means(found.values()) == pytest.approx(whole, abs=1e-12)
    assert found["t2/0"].missing == 1
    assert found["t1/0"].truth["masks"] == {
        str(number): encode(mask) for number, mask in enumerate(truth["0"])
    }


def test_an_empty_answer_is_paid_where_the_object_is_hidden_unless_strict(data):
    nothing = {"t1/0": masks(EMPTY, None, None)}
    assert scores_of(RefYoutubeVosTrain(), data, nothing)["t1/0"].values["j"] == (1 / 3,)
    strict = RefYoutubeVosTrain(strict=True)
    assert scores_of(strict, data, nothing)["t1/0"].values["j"] == (0.0,)


def test_valid_leaves_out_test_videos_and_writes_the_servers_zip(data, tmp_path, tiny_model):
    folder = tmp_path / "run"
    result = evaluate("ref_youtube_vos", tiny_model, data=data, progress=False, output=folder)
    assert result.metrics == dict.fromkeys(FIGURES)
    assert [one.id for one in result.predictions] == ["v1/0", "v1/1"]
    assert EvaluationResult.read(folder).predictions == result.predictions
    file = write_rows(tmp_path / "rows.jsonl", [{"id": "v1/1", **masks(LEFT, None, RIGHT)}])
    result = score_predictions("ref_youtube_vos", file, data=data, progress=False)
    RefYoutubeVos().export(result.predictions, data, tmp_path / "valid.zip")
    found = pictures_in(tmp_path / "valid.zip")
    assert sorted(found) == [f"Annotations/v1/{key}/{name}.png" for key in "01" for name in NAMES]
    assert np.array_equal(found["Annotations/v1/1/00010.png"], RIGHT * np.uint8(255))
    assert not found["Annotations/v1/0/00010.png"].any()


def test_the_servers_tree_is_read_with_annotations_or_without(data, tmp_path):
    said = {name: masks(LEFT, RIGHT, RIGHT) for name in ("t1/0", "t1/1", "t2/0", "t2/1")}
    rows = [{"id": name, **fields} for name, fields in said.items()]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = score_predictions("ref_youtube_vos_train", file, data=data, progress=False)
    RefYoutubeVosTrain().export(result.predictions, data, tmp_path / "tree.zip")
    with ZipFile(tmp_path / "tree.zip") as archive:
        archive.extractall(tmp_path / "tree")
    for folder in (tmp_path / "tree", tmp_path / "tree/Annotations"):
        again = score_predictions("ref_youtube_vos_train", folder, data=data, progress=False)
        assert again.metrics == result.metrics
    assert result.metrics["j"] == pytest.approx(0.5)


def test_annotations_that_lack_are_named(data):
    root = data / "ref-youtube-vos/train"
    (root / "Annotations/t1/00005.png").unlink()
    file = data / "ref-youtube-vos/meta_expressions/train/meta_expressions.json"
    (bad,) = bad_samples(RefYoutubeVosTrain(), data)
    assert "t1/00005.png does not exist; get the annotations again" in bad.reason
    assert RefYoutubeVosTrain().size(data) == 2
    expressions = {"0": {"exp": "a cat", "obj_id": "7"}, "1": {"exp": "two dogs"}}
    write_json(file, {"videos": {"t2": {"expressions": expressions, "frames": list(NAMES)}}})
    (bad,) = bad_samples(RefYoutubeVosTrain(), data)
    assert bad.field == "t2.expressions.1"
    assert "the expression is for objects []; expected the number of one" in bad.reason
    (item,) = items_of(RefYoutubeVosTrain(), data).values()
    with pytest.raises(InputError, match=r"object 7 of t2/0 is in no mask of .*Annotations/t2"):
        RefYoutubeVosTrain().score(item, None)
    file.unlink()
    with pytest.raises(InputError, match=r"no meta_expressions/train/meta_expressions\.json was"):
        RefYoutubeVosTrain().size(data)


def test_the_training_split_is_asked_about(data, tiny_model):
    result = evaluate("ref_youtube_vos_train", tiny_model, data=data, progress=False, limit=1)
    assert result.counts["questions"] == 2
    assert all(0 <= value <= 1 for value in result.metrics.values())
    names = {spec.name: spec.metrics for spec in tpo.list_benchmarks()}
    paper = RefYoutubeVos().published()
    assert ("VideoChat-TPO", 0.639) in [(one.model, one.metrics["j&f"]) for one in paper]
    assert names["ref_youtube_vos"] == names["ref_youtube_vos_train"] == tuple(result.metrics)
