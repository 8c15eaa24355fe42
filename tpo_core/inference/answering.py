"""Answer questions: those about one media item share its decoding, its features and its prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tpo_core.backbone import DecodingState, RenderedRecord
from tpo_core.batch import move_record
from tpo_core.errors import InputError
from tpo_core.inference.answer import Answer
from tpo_core.inference.composing import compose, run_heads
from tpo_core.inference.decode import Grammar, Rows, Written
from tpo_core.inference.question import (
    BoxLike,
    PreparedQuestion,
    Question,
    Turn,
    as_question,
    prepare,
)
from tpo_core.inference.sampling import Choose, Sampling, greedy, sampler
from tpo_core.inference.search import write_beams, write_rows
from tpo_core.media.open import open_media
from tpo_core.model import TpoModel
from tpo_core.records.fit import fit_to_media

Progress = Callable[[int, int], None]

MAX_ROWS = 16


def predict(
    model: TpoModel,
    media: Any,
    question: str,
    *,
    box: BoxLike | Sequence[BoxLike] | None = None,
    history: Sequence[Turn] = (),
    task: str | None = None,
    prefix: str = "",
    **options: Any,
) -> Answer:
    """Answer one question.

    Args:
        model: The model.
        media: What `open_media` takes, or None to chat about nothing.
        question: The question; `<region>` in it stands for `box`.
        box: See `Question`.
        history: See `Question`; `answer.turns` continues a conversation.
        task: Name of the task to answer with, whatever the LLM would choose.
        prefix: See `Question`; `answer.text` holds what the LLM adds to it.
        **options: See `predict_batch`.

    Raises:
        InputError: See `predict_batch`.
    """
    asked = Question(media, question, box=box, history=history, task=task, prefix=prefix)
    return predict_batch(model, [asked], **options)[0]


# Not `inference_mode`: what modules keep from a first pass must stay usable in training.
@torch.no_grad()
def predict_batch(
    model: TpoModel,
    questions: Iterable[Question | Any],
    *,
    num_frames: int | None = None,
    max_new_tokens: int = 64,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    num_beams: int = 1,
    seed: int | None = None,
    trigger_in_cache: bool = True,
    max_rows: int = MAX_ROWS,
    progress: Progress | None = None,
) -> list[Answer]:
    """Answer questions, in their order.

    Questions about one media item (the same path, or the same object) are answered together: it is
    decoded, encoded and run through the LLM once. An answer does not depend on what else is asked.

    Args:
        model: The model; its mode is restored afterwards.
        questions: `Question`s or `(media, text)` pairs.
        num_frames: How many frames of a video to look at; by default as many as in training.
        max_new_tokens: Tokens of an answer; a slot that its last trigger forces may come on top.
        do_sample: Sample instead of taking the likeliest token.
        temperature: Logits are divided by it; for sampling.
        top_p: Sample among the likeliest tokens that together have this probability.
        top_k: Sample among this many likeliest tokens; 0 for all.
        num_beams: Hypotheses of a beam search, scored by mean log-probability; 1 for none.
        seed: Makes samples reproducible; the question's place in the list is part of it.
        trigger_in_cache: Whether a slot sees its trigger, as in training. False is upstream's
            order: the slot runs beside the answer, on a cache without the trigger, and leaves no
            trace.
        max_rows: Rows (answers, or beams) that run together; bounds memory.
        progress: Called with the numbers of questions answered and asked.

    Raises:
        InputError: If a question or an option cannot be used; nothing has run then.
        MediaError: If a media item cannot be read.
    """
    settings = Sampling(
        max_new_tokens=max_new_tokens,
        do_sample=do_sample,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        num_beams=num_beams,
        seed=seed,
    )
    if max_rows < 1:
        raise InputError(f"max_rows is {max_rows}; expected at least 1")
    frames = model.num_frames if num_frames is None else num_frames
    prepared = [
        prepare(number, as_question(item), model.vocabulary)
        for number, item in enumerate(questions)
    ]
    groups: dict[tuple[object, ...], list[PreparedQuestion]] = {}
    for question in prepared:
        groups.setdefault(question.group, []).append(question)
    answers: dict[int, Answer] = {}
    with _eval_mode(model):
        for group in groups.values():
            for answer, question in zip(
                _answer_group(model, group, frames, settings, trigger_in_cache, max_rows),
                group,
                strict=True,
            ):
                answers[question.number] = answer
            if progress is not None:
                progress(len(answers), len(prepared))
    return [answers[number] for number in range(len(prepared))]


def _answer_group(
    model: TpoModel,
    group: Sequence[PreparedQuestion],
    num_frames: int,
    settings: Sampling,
    trigger_in_cache: bool,
    max_rows: int,
) -> list[Answer]:
    """Answer questions about one media item."""
    asked = group[0].question
    media = None
    if asked.media is not None:
        media = open_media(
            asked.media,
            num_frames=num_frames,
            required=asked.frames,
            choose=model.backbone.choose_frames,
        )
        for question in group:
            fit_to_media(question.prompts, media, field="box")
    rendered = model.backbone.renderer.render(
        media, [question.messages for question in group], generate=True
    )
    record = move_record(rendered, model.device)
    _check_prompts(model, group, record)
    visual = model.backbone.encode([record])
    state = model.backbone.prefill(record, visual[0])
    grammar = Grammar.of(model, has_media=media is not None, trigger_in_cache=trigger_in_cache)
    per_chunk = max(max_rows // settings.num_beams, 1)
    written: list[Written] = []
    for start in range(0, len(group), per_chunk):
        chunk = slice(start, start + per_chunk)
        prompts = [branch.ids for branch in record.branches[chunk]]
        written += _write(model, grammar, state, group[chunk], prompts, settings)
    results = run_heads(model, group, written, record, visual)
    return [
        compose(model, question, branch, found, result, media, num_frames)
        for question, branch, found, result in zip(
            group, record.branches, written, results, strict=True
        )
    ]


def _write(
    model: TpoModel,
    grammar: Grammar,
    state: DecodingState,
    questions: Sequence[PreparedQuestion],
    prompts: Sequence[Tensor],
    settings: Sampling,
) -> list[Written]:
    """Decode the answers to some questions from the shared prefix."""
    given = [(_task(p), p) for question in questions for p in question.prompts]
    prompt_ids = torch.cat([ids[_is_prompt(model, ids)] for ids in prompts])
    embeddings = model.prompt_embeddings(given, prompt_ids)
    rows = Rows(model.backbone, grammar, model.backbone.branch(state, len(prompts)))
    logits = rows.read(prompts, embeddings)
    tasks = [question.question.task for question in questions]
    forced = [None if task is None else grammar.trigger(task) for task in tasks]
    if settings.num_beams > 1:
        return write_beams(
            rows,
            logits,
            num_beams=settings.num_beams,
            forced=forced,
            max_new_tokens=settings.max_new_tokens,
        )
    choose: Choose = greedy
    if settings.do_sample:
        choose = sampler(settings, [question.number for question in questions], logits.device)
    return write_rows(
        rows, logits, choose=choose, forced=forced, max_new_tokens=settings.max_new_tokens
    )


def _check_prompts(
    model: TpoModel, group: Sequence[PreparedQuestion], record: RenderedRecord
) -> None:
    """Make sure that the chat template kept every prompt token."""
    known = model.vocabulary.prompts
    for question, branch in zip(group, record.branches, strict=True):
        found = [known[token] for token in branch.ids.tolist() if token in known]
        expected = [_task(prompt) for prompt in question.prompts]
        if found != expected:
            raise InputError(
                f"the chat template rendered prompts {found} where {expected} were given; put "
                "every <region> into the text of a user turn"
            )


def _is_prompt(model: TpoModel, ids: Tensor) -> Tensor:
    return torch.isin(ids, ids.new_tensor(list(model.vocabulary.prompts)))


def _task(prompt: Any) -> str:
    return str(prompt.task)


@contextmanager
def _eval_mode(model: TpoModel) -> Iterator[None]:
    """Switch dropout and batch statistics off; every module gets its own mode back."""
    trained = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True
