"""Questions that cannot be asked say why; answers say what they found, with units."""

from __future__ import annotations

import json
import re

import pytest
import torch
from PIL import Image

from tpo_core.errors import InputError, MediaError, UnknownName
from tpo_core.inference import Question, predict_batch
from tpo_core.media.open import open_media
from tpo_core.records.schema import RegionPrompt

BOX = (0.1, 0.2, 0.4, 0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "  "}, "expected some text"),
        ({"text": "Where is <boxes>?"}, "reserved token '<boxes>'"),
        ({"text": "Where is <|im_end|>?"}, "'<|im_end|>', a special token"),
        ({"text": "Follow <region>"}, "mark 1 prompts (region) but 0 were given"),
        ({"text": "Follow it", "box": BOX}, "mark 0 prompts (none) but 1 were given"),
        ({"text": "<region> or <region>?", "box": BOX}, "mark 2 prompts"),
        ({"text": "Follow <region>", "box": (0.4, 0.2, 0.1, 0.6)}, "reversed or empty"),
        ({"text": "Follow <region>", "box": (4, 2, 100, 60)}, "not pixels"),
        ({"text": "Follow <region>", "box": (0.1, 0.2, float("nan"), 1)}, "not finite"),
        ({"text": "Follow <region>", "box": (0.1, 0.2)}, "box"),
        ({"text": "Follow <region>", "box": RegionPrompt(box=BOX, frame=99)}, "frame 99 does not"),
        ({"text": "Hi", "history": [("assistant", "Hello")]}, "expected history to alternate"),
        ({"text": "Hi", "history": ["Hello"]}, "expected (role, content) pairs"),
        ({"text": "Hi", "history": [("user", "<temp>"), ("assistant", "x")]}, "reserved token"),
        ({"text": "Hi", "media": None, "task": "region"}, "but no media"),
        ({"text": "Hi", "media": "missing.mp4"}, "missing.mp4 does not exist"),
        ({"text": "Hi", "media": 3}, "cannot read media from int"),
    ],
)
def test_a_question_that_cannot_be_asked_says_why(model, videos, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        predict_batch(model, [Question(**{"media": videos[0], **options})])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"temperature": 0.0}, "temperature is 0.0; expected more than 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": -1}, "top_k is -1"),
        ({"num_beams": 0}, "num_beams is 0"),
        ({"num_beams": 2, "do_sample": True}, "choose one"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"num_frames": 0}, "num_frames is 0"),
    ],
)
def test_options_out_of_range_are_refused(model, videos, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        model.predict(videos[0], "What?", **options)


def test_an_unknown_task_gets_a_suggestion(model, videos):
    with pytest.raises(UnknownName, match="did you mean 'temporal'"):
        model.predict(videos[0], "When?", task="temporla")


def test_something_else_than_a_question_is_refused(model):
    with pytest.raises(InputError, match="expected a Question or a"):
        predict_batch(model, ["clip.mp4"])


def test_nothing_runs_if_one_question_is_bad(model, videos, monkeypatch):
    monkeypatch.setattr(model.backbone, "encode", lambda records: pytest.fail("ran"))
    with pytest.raises(InputError):
        predict_batch(model, [(videos[0], "Good?"), (videos[0], "")])


def test_a_corrupt_video_is_a_media_error(model, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        model.predict(tmp_path / "bad.mp4", "What?")


def test_any_kind_of_media_is_taken(model, videos):
    decoded = open_media(videos[0], num_frames=4)
    picture = Image.fromarray(decoded.frames[0].permute(1, 2, 0).numpy())
    kinds = [videos[0], str(videos[0]), decoded, decoded.frames, picture, [picture, picture]]
    answers = [model.predict(media, "What?", max_new_tokens=2) for media in kinds]
    assert [a.media.kind for a in answers] == ["video"] * 4 + ["image", "video"]
    assert answers[0].token_ids == answers[1].token_ids == answers[2].token_ids
    assert answers[0].media.frames is None, "an answer should not keep pixels alive"
    with pytest.raises(MediaError, match="expected uint8"):
        model.predict(torch.zeros(2, 3, 8, 8), "What?")


def test_a_conversation_goes_on(model, videos, token_texts):
    first = model.predict(videos[0], "When?", task="temporal", max_new_tokens=3)
    assert [turn.role for turn in first.turns] == ["user", "assistant"]
    assert first.turns[1].content.startswith("<temporal>")
    rendered = []
    real = model.backbone.renderer.render

    def spy(media, conversations, **options):
        rendered.extend(conversations)
        return real(media, conversations, **options)

    model.backbone.renderer.render = spy
    try:
        second = model.predict(
            videos[0], "And where?", history=first.turns, task="region", max_new_tokens=3
        )
    finally:
        del model.backbone.renderer.render
    assert rendered[0][1].content.startswith("<time_begin><temp>")
    assert len(second.turns) == 4
    assert not any(text in turn.content for turn in second.turns for text in token_texts)


@pytest.fixture
def token_texts(model):
    return model.vocabulary.texts


def test_results_are_typed_and_flat(model, videos, write_out):
    ids = model.vocabulary.ids
    write_out([ids["<box_begin>"], ids["<time_begin>"], ids["<box_begin>"]])
    answer = model.predict(videos[0], "Where and when?", max_new_tokens=6)
    assert len(answer.boxes) == 2
    assert all(0 <= value <= 1 for box in answer.boxes for value in box.xyxy)
    moments = answer.results[1][1]
    assert answer.spans == list(moments.spans[: moments.count])
    assert all(0 <= s.start <= s.end <= answer.media.duration == 2.0 for s in answer.spans)
    assert answer.masks == []
    assert str(answer) == answer.text
    assert "temporal: " in repr(answer)


def test_an_answer_is_json(model, videos):
    question = Question(videos[0], "Follow <region>", box=BOX, task="region")
    answer = predict_batch(model, [question], max_new_tokens=3)[0]
    values = json.loads(json.dumps(answer.to_json()))
    assert values["question"] == "Follow <region>"
    assert values["prompts"] == [{"task": "region", "box": list(BOX), "frame": 0}]
    assert values["results"][0]["task"] == "region"
    assert len(values["results"][0]["box"]) == 4
    assert values["media"]["frames"] == [0, 3, 5, 7], (
        "frame 0, which the prompt is on, is looked at"
    )
    assert values["media"]["duration"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "written"), [("o.png", "o.png"), ("o.mp4", "o.mp4"), ("o", "o.png")]
)
def test_an_overlay_is_written(model, videos, tmp_path, name, written):
    answer = model.predict(videos[0], "When?", task="temporal", max_new_tokens=3)
    assert answer.save_overlay(tmp_path / name) == tmp_path / written
    overlay = open_media(tmp_path / written, num_frames=None)
    assert overlay.kind == ("video" if written.endswith("mp4") else "image")
    assert len(overlay.indices) == (4 if overlay.kind == "video" else 1)


def test_a_chat_about_nothing_has_no_overlay(model, tmp_path):
    answer = model.predict(None, "Hello", max_new_tokens=2)
    with pytest.raises(InputError, match="no media to draw on"):
        answer.save_overlay(tmp_path / "o.png")
