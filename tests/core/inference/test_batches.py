"""Questions asked together get the answers they get alone, for one prefix a media item."""

from __future__ import annotations

from collections import Counter

import pytest

from tpo_core.inference import Question, predict_batch


@pytest.fixture
def questions(videos):
    first, second = videos
    return [
        Question(first, "Where is it?", task="region"),
        Question(second, "When does the blue triangle move away from the others?"),
        Question(first, "When?", task="temporal"),
        Question(first, "Follow <region>", box=(0.1, 0.1, 0.5, 0.5)),
        Question(None, "Hello there"),
        Question(second, "What colour is it?", task="region"),
        Question(first, "How many shapes are there in the whole video, and which?"),
    ]


def same(answer, other):
    assert answer.token_ids == other.token_ids
    assert answer.text == other.text
    assert answer.log_prob == pytest.approx(other.log_prob, abs=1e-4)
    assert [task for task, _ in answer.results] == [task for task, _ in other.results]
    for box, expected in zip(answer.boxes, other.boxes, strict=True):
        assert box.xyxy == pytest.approx(expected.xyxy, abs=1e-5)
    for span, expected in zip(answer.spans, other.spans, strict=True):
        assert (span.start, span.end) == pytest.approx((expected.start, expected.end), abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_a_batch_answers_as_single_questions_do(model, questions, options):
    together = predict_batch(model, questions, max_new_tokens=6, **options)
    for question, answer in zip(questions, together, strict=True):
        assert answer.question is question
        same(answer, predict_batch(model, [question], max_new_tokens=6, **options)[0])


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"trigger_in_cache": False}])
@pytest.mark.parametrize("max_rows", [1, 2])
def test_chunks_change_nothing(model, questions, favour, options, max_rows):
    favour(model.vocabulary.triggers, 6.0)
    whole = predict_batch(model, questions, max_new_tokens=6, **options)
    chunked = predict_batch(model, questions, max_new_tokens=6, max_rows=max_rows, **options)
    for answer, other in zip(chunked, whole, strict=True):
        same(answer, other)


def test_answers_that_end_early_leave_the_others_alone(model, questions, favour):
    favour(model.backbone.renderer.stop_ids, 4.0)
    options = {"max_new_tokens": 12, "do_sample": True, "seed": 2}
    whole = predict_batch(model, questions, **options)
    lengths = {len(answer.token_ids) for answer in whole}
    assert len(lengths) > 2, "all answers ended at once, so nothing was tested"
    for answer, other in zip(
        predict_batch(model, questions, max_rows=1, **options), whole, strict=True
    ):
        same(answer, other)


def test_media_are_decoded_encoded_and_prefilled_once(model, videos, monkeypatch):
    calls = Counter()

    def counting(owner, name):
        real = getattr(owner, name)

        def counted(*args, **options):
            calls[name] += 1
            return real(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    from tpo_core.inference import answering as module

    counting(module, "open_media")
    for name in ("encode", "prefill", "frame_features"):
        counting(model.backbone, name)
    asked = [(videos[n % 2], f"Question {n}?") for n in range(6)]
    predict_batch(model, asked, max_new_tokens=2, max_rows=2)
    assert calls == {"open_media": 2, "encode": 2, "prefill": 2}

    calls.clear()
    timed = [Question(videos[0], f"When {n}?", task="temporal") for n in range(3)]
    predict_batch(model, timed, max_new_tokens=4)
    assert calls["frame_features"] == 1, "the head should run once on all slots of a media item"


def test_progress_is_told(model, questions):
    told = []
    predict_batch(model, questions, max_new_tokens=1, progress=lambda *p: told.append(p))
    assert told[-1] == (7, 7)
    assert [total for _, total in told] == [7] * len(told)
    assert told == sorted(told)


def test_no_question_gets_no_answer(model):
    assert predict_batch(model, []) == []
