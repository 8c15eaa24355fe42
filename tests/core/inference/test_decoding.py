"""What is decoded: one pass, states caught at slots, and only tokens that may be written."""

from __future__ import annotations

import pytest
import torch

from tpo_core.inference import Question, predict_batch

WORD, OTHER = 70, 81


@pytest.fixture
def token(model):
    return model.vocabulary.ids


def ids_without_bans(model, logits):
    banned = set(model.vocabulary.ids.values()) - set(model.vocabulary.triggers)
    return logits.index_fill(-1, torch.tensor(sorted(banned)), float("-inf")).log_softmax(-1)


def test_states_at_slots_equal_a_teacher_forced_pass(
    model, videos, token, write_out, states_of, forward, monkeypatch
):
    script = [WORD, token["<box_begin>"], OTHER, token["<time_begin>"], WORD]
    write_out(script)
    question = (videos[0], "When does the red circle appear?")
    answer = model.predict(*question, max_new_tokens=7)

    pairs = [token["<box_begin>"], token["<boxes>"], token["<time_begin>"], token["<temp>"]]
    assert answer.token_ids == (WORD, *pairs[:2], OTHER, *pairs[2:], WORD)
    assert [task for task, _ in answer.results] == ["region", "temporal"]
    monkeypatch.undo()
    states, _ = forward(question, answer.token_ids)
    torch.testing.assert_close(states_of["region"][0], states[[2]], atol=1e-5, rtol=0)
    torch.testing.assert_close(states_of["temporal"][0], states[[5]], atol=1e-5, rtol=0)


def test_a_head_may_read_the_state_at_the_trigger(
    model, videos, token, write_out, states_of, forward, monkeypatch
):
    monkeypatch.setattr(model.heads["region"], "state", "trigger")
    write_out([WORD, token["<box_begin>"], OTHER])
    question = (videos[0], "Where?")
    answer = model.predict(*question, max_new_tokens=4)
    assert len(answer.boxes) == 1
    monkeypatch.undo()
    states, _ = forward(question, answer.token_ids)
    torch.testing.assert_close(states_of["region"][0], states[[1]], atol=1e-5, rtol=0)


def test_upstream_order_runs_the_slot_without_its_trigger_and_leaves_no_trace(
    model, videos, token, write_out, states_of, forward, monkeypatch
):
    write_out([WORD, token["<time_begin>"]])
    question = (videos[0], "When?")
    answer = model.predict(*question, max_new_tokens=6, trigger_in_cache=False)
    assert answer.token_ids[:3] == (WORD, token["<time_begin>"], token["<temp>"])
    monkeypatch.undo()

    states, _ = forward(question, [WORD, token["<temp>"]])
    torch.testing.assert_close(states_of["temporal"][0], states[[1]], atol=1e-5, rtol=0)
    seen = [*answer.token_ids[:2], *answer.token_ids[3:]]
    _, logits = forward(question, seen)
    following = ids_without_bans(model, logits[2:-1]).argmax(-1).tolist()
    assert following == list(answer.token_ids[3:])
    with_trigger = model.predict(*question, max_new_tokens=6, task="temporal")
    assert with_trigger.token_ids[:2] == (token["<time_begin>"], token["<temp>"])


def test_log_prob_is_that_of_a_teacher_forced_pass(model, videos, forward):
    question = Question(videos[0], "Where?", task="region")
    answer = model.predict(videos[0], "Where?", task="region", max_new_tokens=6)
    _, logits = forward(question, answer.token_ids)
    scores = ids_without_bans(model, logits)
    chosen = [scores[at, token] for at, token in enumerate(answer.token_ids) if at > 1]
    assert answer.log_prob == pytest.approx(float(sum(chosen)), abs=1e-4)


def test_a_box_given_by_the_user_reaches_the_llm(
    model, videos, token, write_out, states_of, forward, monkeypatch
):
    write_out([token["<box_begin>"]])
    question = Question(videos[0], "Where does <region> go?", box=(0.1, 0.2, 0.4, 0.9))
    answer = predict_batch(model, [question], max_new_tokens=3)[0]
    monkeypatch.undo()
    states, _ = forward(question, answer.token_ids)
    torch.testing.assert_close(states_of["region"][0][:1], states[[1]], atol=1e-5, rtol=0)
    other = Question(videos[0], "Where does <region> go?", box=(0.5, 0.5, 0.6, 0.6))
    moved, _ = forward(other, answer.token_ids)
    assert (moved - states).abs().max() > 1e-3


def test_the_slot_of_a_last_trigger_is_still_run(model, videos, token, write_out):
    write_out([token["<time_begin>"]])
    answer = model.predict(videos[0], "When?", max_new_tokens=1)
    assert answer.token_ids == (token["<time_begin>"], token["<temp>"])
    assert len(answer.spans) == 1
    assert answer.finish_reason == "length"


def test_slots_and_prompts_are_never_written_by_the_llm_itself(model, videos, token, favour):
    favour([token["<boxes>"], token["<temp>"], token["<track_box>"]], 1e4)
    answer = model.predict(videos[0], "Where?", max_new_tokens=5)
    assert not set(answer.token_ids) & set(token.values())
    assert answer.results == ()


def test_without_media_no_trigger_is_written(model, token, favour):
    favour(model.vocabulary.triggers, 1e4)
    answer = model.predict(None, "Hello?", max_new_tokens=3)
    assert len(answer.token_ids) == 3
    assert not set(answer.token_ids) & set(token.values())
    assert answer.media is None


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "seed": 1}, {"num_beams": 2}])
def test_text_never_shows_a_task_token(model, videos, token, favour, options):
    favour(model.vocabulary.triggers, 8.0)
    answer = model.predict(videos[0], "Where and when?", max_new_tokens=12, **options)
    slots = [task for token, task in model.vocabulary.slots.items() if token in answer.token_ids]
    assert slots, "the bias was too weak to test anything"
    assert not any(text in answer.text for text in token)
    assert len(answer.results) == sum(t in model.vocabulary.slots for t in answer.token_ids)
    for before, after in zip(answer.token_ids, answer.token_ids[1:], strict=False):
        is_slot = after in model.vocabulary.slots
        assert is_slot == (before in model.vocabulary.triggers)
        if is_slot:
            assert model.vocabulary.slots[after] == model.vocabulary.triggers[before]


def test_results_stand_in_the_text_in_place_of_their_slots(model, videos, token, write_out):
    words = model.backbone.renderer.tokenizer("red", add_special_tokens=False)["input_ids"]
    write_out([*words, token["<box_begin>"], *words, token["<time_begin>"], *words])
    answer = model.predict(videos[0], "Where?", max_new_tokens=3 * len(words) + 4)
    box, moments = (str(result) for _, result in answer.results)
    assert answer.text == f"red {box} red {moments} red"
    assert answer.marked_text == "red <region> red <temporal> red"


def test_an_end_of_turn_ends_the_answer(model, videos, write_out):
    stop = model.backbone.renderer.stop_ids[0]
    write_out([WORD, OTHER, stop])
    answer = model.predict(videos[0], "What?", max_new_tokens=9)
    assert answer.token_ids == (WORD, OTHER)
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("task", ["region", "temporal"])
def test_a_task_can_be_asked_for(model, videos, task):
    answer = model.predict(videos[0], "Show me", task=task, max_new_tokens=4)
    assert answer.results[0][0] == task
    assert answer.token_ids[0] == model.vocabulary.ids[model.vocabulary.tokens[task].trigger]


def test_every_module_gets_its_mode_back(model, videos):
    model.train()
    before = [module.training for module in model.modules()]
    assert any(before)
    assert not all(before), "the frozen tower should be in eval mode"
    model.predict(videos[0], "What?", max_new_tokens=2)
    assert [module.training for module in model.modules()] == before
    model.eval()
