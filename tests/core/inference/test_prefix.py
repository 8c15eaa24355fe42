"""Answers that begin as the question says: the LLM goes on from there."""

from __future__ import annotations

import re

import pytest
import torch

from tpo_core.errors import InputError
from tpo_core.inference import Question, predict_batch
from tpo_core.media.open import open_media

PREFIX = "Best option:("
STEPS = 5


def prompt_ids(model, text):
    return model.backbone.renderer.tokenizer(text, add_special_tokens=False)["input_ids"]


def greedy_after(model, logits, start, count):
    banned = sorted(set(model.vocabulary.ids.values()) - set(model.vocabulary.triggers))
    kept = logits.index_fill(-1, torch.tensor(banned), float("-inf"))
    return kept.argmax(-1).tolist()[start : start + count]


def test_the_answer_goes_on_from_its_prefix(model, videos, forward, favour):
    # Without triggers and placeholders each token stands for itself in the pass over the whole.
    backbone = model.backbone
    others = (model.vocabulary.triggers, backbone.renderer.stop_ids, backbone.placeholder_ids)
    favour([token for ids in others for token in ids], -1e4)
    question = (videos[0], "Which one is it?")
    begun = model.predict(*question, prefix=PREFIX, max_new_tokens=STEPS)
    plain = model.predict(*question, max_new_tokens=STEPS)
    assert begun.token_ids != plain.token_ids
    first = prompt_ids(model, PREFIX)
    _, logits = forward(question, [*first, *begun.token_ids])
    assert greedy_after(model, logits, len(first), STEPS) == list(begun.token_ids)


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"max_rows": 1}])
def test_prefixes_share_the_media_and_leave_each_other_alone(model, videos, monkeypatch, options):
    media = open_media(videos[0], num_frames=4)
    questions = [
        Question(media, "Which one is it?", prefix=PREFIX),
        Question(media, "Which one is it?"),
        Question(media, "Where is it?", prefix="It is the one at", task="region"),
        Question(media, "Follow <region>", box=(0.1, 0.1, 0.5, 0.5), prefix="Sure:"),
    ]
    alone = [predict_batch(model, [one], max_new_tokens=STEPS, **options)[0] for one in questions]
    assert alone[0].token_ids != alone[1].token_ids
    calls = []
    real = model.backbone.prefill
    monkeypatch.setattr(model.backbone, "prefill", lambda *a: calls.append(1) or real(*a))
    together = predict_batch(model, questions, max_new_tokens=STEPS, **options)
    assert len(calls) == 1
    for one, other in zip(together, alone, strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        assert [box.xyxy for box in one.boxes] == [
            pytest.approx(box.xyxy, abs=1e-5) for box in other.boxes
        ]


def test_a_task_token_is_forced_behind_the_prefix(model, videos, states_of, forward, monkeypatch):
    ids = model.vocabulary.ids
    answer = model.predict(
        videos[0], "Where is it?", prefix="It is at", task="region", max_new_tokens=2
    )
    assert answer.token_ids == (ids["<box_begin>"], ids["<boxes>"])
    monkeypatch.undo()
    first = prompt_ids(model, "It is at")
    states, _ = forward((videos[0], "Where is it?"), [*first, *answer.token_ids])
    torch.testing.assert_close(states_of["region"][0], states[[-1]], atol=1e-5, rtol=0)


def test_text_is_what_was_added_and_the_turn_is_all_of_it(model, videos, write_out):
    words = prompt_ids(model, " red")
    write_out([*words, model.vocabulary.ids["<box_begin>"]])
    answer = model.predict(
        videos[0], "What is there?", prefix="It is", max_new_tokens=len(words) + 2
    )
    assert answer.text == f"red {answer.boxes[0]}"
    assert answer.turns[-1].content == answer.marked_text == "It is red <region>"
    assert answer.to_json()["prefix"] == "It is"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("  ", "expected the first words of the answer"),
        ("It is <boxes>", "reserved token '<boxes>'"),
        ("It is <region>", "no head answers before the LLM goes on"),
        ("It is <|im_end|>", "a special token"),
    ],
)
def test_a_prefix_is_plain_words(model, videos, prefix, message):
    with pytest.raises(InputError, match=re.escape(message)):
        model.predict(videos[0], "Where?", prefix=prefix)


def test_a_chat_about_nothing_can_be_begun_too(model):
    answer = model.predict(None, "Hello", prefix="Good", max_new_tokens=2)
    assert answer.turns[-1].content.startswith("Good")
    assert not answer.text.startswith("Good")
