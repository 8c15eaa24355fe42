"""`tpo predict`: what it prints and writes, and what it says when it cannot."""

from __future__ import annotations

import json
import os

import pytest

from tpo_core import cli
from tpo_core.media.open import open_media
from tpo_core.saving import save


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("command") / "model"
    save(model, folder)
    return str(folder)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_the_answer_with_units_and_draws_it(folder, videos, here, capsys):
    words = [str(videos[0]), "When is it?", "--model", folder, "--task", "temporal"]
    assert cli.main(["predict", *words, "--max-new-tokens", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("temporal: ") and " s, score " in line for line in lines)
    assert lines[-1] == "overlay: v0_answer.png"
    assert open_media(here / "v0_answer.png", num_frames=None).kind == "image"


def test_a_box_can_be_given_and_an_overlay_be_named(folder, videos, here, capsys):
    words = [str(videos[0]), "Where does <region> go?", "--model", folder, "--task", "region"]
    words += ["--box", "0.1,0.1,0.5,0.5", "--out", "drawn/o.mp4", "--num-frames", "3"]
    assert cli.main(["predict", *words, "--max-new-tokens", "2"]) == 0
    out = capsys.readouterr().out
    assert " px of 56 x 56" in out
    assert len(open_media(here / "drawn/o.mp4", num_frames=None).indices) == 3


def test_json_is_all_that_is_printed(folder, videos, here, capsys):
    words = ["predict", str(videos[0]), "Where?", "--model", folder, "--task", "region"]
    assert cli.main([*words, "--json", "--no-overlay", "--max-new-tokens", "2"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["results"][0]["task"] == "region"
    assert values["overlay"] is None
    assert os.listdir(here) == []


def test_decoding_options_reach_the_model(folder, videos, capsys):
    words = ["predict", str(videos[0]), "Why?", "--model", folder, "--json", "--no-overlay"]
    words += ["--max-new-tokens", "6"]
    texts = []
    for options in ([], ["--sample", "--seed", "1"], ["--sample", "--seed", "1"], ["--beams", "3"]):
        assert cli.main([*words, *options]) == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts[1] == texts[2] != texts[0]
    assert texts[3] != texts[0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.mp4", "What?"], 1, "missing.mp4 does not exist"),
        (["VIDEO", " "], 2, "it is empty; expected some text"),
        (["VIDEO"], 2, "Missing argument"),
        (["VIDEO", "Where is <region>?"], 1, "mark 1 prompts (region) but 0 were given"),
        (["VIDEO", "Where is <region>?", "--box", "1,2,3"], 2, "expected four numbers"),
        (["VIDEO", "Where is <region>?", "--box", "9,9,99,99"], 1, "not pixels"),
        (["VIDEO", "What?", "--task", "regoin"], 1, "did you mean 'region'"),
        (["VIDEO", "What?", "--max-new-tokens", "0"], 2, "--max-new-tokens"),
        (["VIDEO", "What?", "--temperature", "0", "--sample"], 1, "temperature is 0.0"),
        (["VIDEO", "What?", "--out", "o.xyz", "--task", "region"], 1, "cannot write o.xyz"),
        (["BROKEN", "What?"], 1, "broken.mp4"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    folder, videos, here, capsys, words, code, message
):
    (here / "broken.mp4").write_bytes(b"\0" * 64)
    real = {"VIDEO": str(videos[0]), "BROKEN": str(here / "broken.mp4")}
    words = [real.get(word, word) for word in words]
    assert cli.main(["predict", *words, "--model", folder]) == code
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in error
    assert "Traceback" not in error


def test_a_model_that_does_not_exist_is_said_in_a_sentence(videos, capsys):
    assert cli.main(["predict", str(videos[0]), "What?", "--model", "no/such/model"]) == 1
    assert "the model no/such/model does not exist" in capsys.readouterr().err
    assert cli.main(["predict", str(videos[0]), "What?"]) == 2
    assert "--model" in capsys.readouterr().err
