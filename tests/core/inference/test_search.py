"""Sampling is reproducible; beam search is transformers' own where no task token is written."""

from __future__ import annotations

import pytest
import torch

from tpo_core.inference import Question, predict_batch


def ask(model, video, **options):
    questions = [Question(video, "What happens?") for _ in range(4)]
    answers = predict_batch(model, questions, max_new_tokens=8, **options)
    return [answer.token_ids for answer in answers]


def test_a_seed_makes_samples_reproducible(model, videos):
    first = ask(model, videos[0], do_sample=True, seed=5)
    assert ask(model, videos[0], do_sample=True, seed=5) == first
    assert ask(model, videos[0], do_sample=True, seed=5, max_rows=2) == first
    assert ask(model, videos[0], do_sample=True, seed=6) != first
    assert len(set(first)) == 4, "one question asked four times should get four samples"


def test_without_a_seed_samples_differ(model, videos):
    assert ask(model, videos[0], do_sample=True) != ask(model, videos[0], do_sample=True)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_a_sample_from_the_likeliest_token_alone_is_greedy(model, videos, narrow):
    assert ask(model, videos[0], do_sample=True, **narrow) == ask(model, videos[0])


def test_samples_stay_within_top_k(model, videos, forward):
    answer = model.predict(videos[0], "What?", do_sample=True, top_k=3, seed=1, max_new_tokens=6)
    _, logits = forward((videos[0], "What?"), answer.token_ids)
    banned = sorted(set(model.vocabulary.ids.values()) - set(model.vocabulary.triggers))
    best = logits.index_fill(-1, torch.tensor(banned), float("-inf")).topk(3).indices.tolist()
    forced = model.vocabulary.slots
    ranks = [best[at].index(t) for at, t in enumerate(answer.token_ids) if t not in forced]
    assert any(rank > 0 for rank in ranks)


@pytest.mark.parametrize("num_beams", [2, 4])
@pytest.mark.parametrize("end", [0.0, 3.0])
def test_beam_search_is_that_of_transformers(model, num_beams, end, favour):
    """On plain text, so that `generate` needs nothing but ids."""
    from tpo_core.records.schema import Message

    stops = list(model.backbone.renderer.stop_ids)
    favour(stops, end)
    answer = model.predict(None, "Tell me a story", num_beams=num_beams, max_new_tokens=10)

    record = model.backbone.renderer.render(
        None, [[Message(role="user", content="Tell me a story")]], generate=True
    )
    prompt = record.branches[0].ids[None]

    class Bias:
        def __call__(self, ids, scores):
            scores = scores.clone()
            scores[:, list(model.vocabulary.ids.values())] = float("-inf")
            return scores

    def logits(states):
        raw = head(states)
        raw[..., stops] += end
        return raw

    head = model.backbone.model.get_output_embeddings().forward
    output = model.backbone.model.get_output_embeddings()
    output.forward = logits
    try:
        expected = model.backbone.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=num_beams,
            max_new_tokens=10,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=0,
            logits_processor=[Bias()],
            renormalize_logits=True,
        )
    finally:
        del output.forward
    ids = expected[0, prompt.shape[1] :].tolist()
    ended = next((at for at, token in enumerate(ids) if token in stops), len(ids))
    assert list(answer.token_ids) == ids[:ended]


def test_beams_find_what_greedy_misses(model, videos):
    greedy = [model.predict(v, "What?", max_new_tokens=6).log_prob for v in videos]
    beams = [model.predict(v, "What?", max_new_tokens=6, num_beams=6).log_prob for v in videos]
    assert all(wide >= narrow - 1e-4 for wide, narrow in zip(beams, greedy, strict=True))
    assert any(wide > narrow + 1e-3 for wide, narrow in zip(beams, greedy, strict=True))


def test_beams_carry_the_states_of_their_slots(model, videos, favour, states_of, forward):
    favour(model.vocabulary.triggers, 6.0)
    question = (videos[0], "Where and when?")
    answer = model.predict(*question, max_new_tokens=8, num_beams=3)
    assert len(answer.results) > 1
    states, _ = forward(question, answer.token_ids)
    for task, caught in states_of.items():
        slot = next(token for token, of in model.vocabulary.slots.items() if of == task)
        at = [place for place, token in enumerate(answer.token_ids) if token == slot]
        torch.testing.assert_close(caught[0], states[at], atol=1e-5, rtol=0)
