"""Chat templates as released: what is supervised, where an answer ends, what must not happen."""

from __future__ import annotations

import pytest

from tpo_backbones.generic.chat import ChatTemplate, ChatText
from tpo_core.errors import InputError
from tpo_core.records.schema import Message

# Written after the released templates, cut down to what matters.
ONEVISION = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAVA = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' }}{% endif %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ content['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
STRINGS = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'].strip() "
    "+ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# Keeps the reasoning of the last turn only, as Qwen3.5 does.
REASONING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}"
    "{% endif %}{{ message['content'][0]['text'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
SYSTEM = "{{ '<|im_start|>system\nBe kind.<|im_end|>' }}" + ONEVISION


def template(source: str, *, eos: str = "</s>") -> ChatTemplate:
    return ChatTemplate(source, variables={}, specials=["<|im_start|>", "<|im_end|>", eos], eos=eos)


def chat(*contents: str) -> list[Message]:
    roles = ("user", "assistant")
    return [Message(role=roles[i % 2], content=text) for i, text in enumerate(contents)]


def said(text: ChatText) -> list[str]:
    return [text.text[start:end] for start, end in text.spans]


def render(source: str, *contents: str, generate: bool = False) -> ChatText:
    return template(source).conversation(chat(*contents), media=(), generate=generate)


@pytest.mark.parametrize("source", [ONEVISION, LLAVA, STRINGS, REASONING, SYSTEM])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_answers_alone_are_supervised(source: str, turns: int) -> None:
    contents = [text for turn in range(turns) for text in (f"question {turn}", f"answer {turn}")]
    text = render(source, *contents)
    assert len(text.spans) == turns
    for turn, span in enumerate(said(text)):
        assert f"answer {turn}" in span
        assert "question" not in span
        assert "assistant" not in span.lower()


@pytest.mark.parametrize("source", [ONEVISION, LLAVA, STRINGS, REASONING, SYSTEM])
def test_prompt_is_what_stood_before_the_answer(source: str) -> None:
    trained = render(source, "question", "answer")
    asked = render(source, "question", generate=True)
    assert trained.text[: trained.spans[0][0]] == asked.text
    assert not asked.spans


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        *((source, "answer:(") for source in (ONEVISION, LLAVA, STRINGS, REASONING, SYSTEM)),
        (STRINGS, "answer is "),  # the template itself strips the blank
        (ONEVISION, "im_end"),
        (LLAVA, "s"),
    ],
)
def test_a_begun_answer_is_how_training_begins_it(source: str, answer: str) -> None:
    trained = render(source, "one", "first", "question", answer)
    begun = render(source, "one", "first", "question", answer, generate=True)
    rest = trained.text.removeprefix(begun.text.rstrip())
    assert begun.text.endswith(answer)
    assert rest.strip() in ("<|im_end|>", "</s>")
    assert said(begun)[:-1] == said(trained)[:-1]
    assert said(trained)[-1].startswith(said(begun)[-1].rstrip())


def test_a_header_unlike_the_prompt_is_replaced_by_it() -> None:
    """The released template writes `assistant \\n` in the past and asks with `assistant\\n`."""
    text = render(ONEVISION, "question", "answer")
    assert text.text.endswith("<|im_start|>assistant\nanswer<|im_end|>")
    assert said(text) == ["answer<|im_end|>"]


def test_a_missing_end_is_added_to_the_last_answer() -> None:
    text = render(LLAVA, "one", "first", "two", "second")
    assert text.text == "USER: one ASSISTANT: first USER: two ASSISTANT: second</s>"
    assert said(text) == [" first", " second</s>"]


def test_text_behind_the_end_of_turn_is_not_supervised() -> None:
    assert said(render(STRINGS, "question", "answer")) == ["answer<|im_end|>"]


def test_reasoning_that_the_prompt_leaves_open_is_supervised() -> None:
    (span,) = said(render(REASONING, "question", "answer"))
    assert span == "\n</think>\n\nanswer<|im_end|>"


def test_contents_become_strings_where_the_template_wants_them() -> None:
    assert not template(STRINGS).content_is_list
    assert template(ONEVISION).content_is_list
    assert "question" in render(STRINGS, "question", "answer").text


def test_an_answer_equal_to_its_question_is_found_in_its_own_turn() -> None:
    text = render(ONEVISION, "red", "red", "red", "red")
    assert said(text) == ["red<|im_end|>"] * 2
    assert text.spans[0][0] > text.text.index("assistant")


def test_an_empty_answer_is_its_end() -> None:
    assert said(render(ONEVISION, "question", "")) == ["<|im_end|>"]


def test_a_template_that_drops_the_answer_is_refused() -> None:
    source = "{% for m in messages %}{{ m['content'][0]['text'] | upper }}{% endfor %}"
    with pytest.raises(InputError, match="does not render"):
        template(source).conversation(chat("question", "answer"), media=(), generate=False)


def test_media_without_a_user_turn_is_refused() -> None:
    lonely = [Message(role="assistant", content="answer")]
    with pytest.raises(InputError, match="no user turn"):
        template(ONEVISION).conversation(lonely, media=[{"type": "video"}], generate=False)
