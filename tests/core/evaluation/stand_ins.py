"""A model that repeats the question, and a benchmark that asks for just that."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType, SimpleNamespace

import torch

from tpo_core.errors import InputError, MediaError
from tpo_core.evaluation import Benchmark, Case, Curve, Expected, Item, Score
from tpo_core.inference import Answer
from tpo_core.media.sampling import choose_frames
from tpo_core.media.types import Media


class Echo(torch.nn.Module):
    """Answers with the question's text; refuses what holds `refuse`."""

    def __init__(self, tasks=("region",), weight=1.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([weight]))
        self.head_by_task = dict.fromkeys(tasks)
        self.origin = SimpleNamespace(backbone="echo", heads={"region": {}})
        self.backbone = SimpleNamespace(choose_frames=choose_frames)
        self.batches = []

    def predict_batch(self, questions, **decoding):
        self.decoding = decoding
        self.batches.append([question.text for question in questions])
        if any("refuse" in question.text for question in questions):
            raise InputError("refused")
        return [answer(question) for question in questions]


def answer(question):
    return Answer(
        question=question,
        text=question.text,
        results=(),
        media=None,
        num_frames=None,
        finish_reason="stop",
        token_ids=(),
        log_prob=0.0,
        marked_text=question.text,
    )


class Repeat(Benchmark):
    """Asks each case's texts; an answer is right if it repeats the question.

    A text that holds `wrong` is right if anything else is said; one that holds `silent` has no
    prediction.
    """

    name = "repeat"
    metrics = ("accuracy", "other")
    curves = MappingProxyType({"length": Curve(x=(1, 2), x_label="x", y_label="y")})
    decoding = MappingProxyType({"max_new_tokens": 3})

    def __init__(self, cases, *, macro=(), **protocol):
        self.protocol = {"rule": "repeat", **protocol}
        self.macro = macro
        self.listed = cases
        self.drawn = 0
        self.loaded = []

    def size(self, data):
        return len(self.listed)

    def cases(self, data):
        for case in self.listed:
            self.drawn += 1
            yield case

    def read(self, item, answer, media):
        self.loaded.append(media.source)
        return None if "silent" in answer.text else {"text": answer.text}

    def score(self, item, predicted):
        if predicted is None:
            return Score(values={"accuracy": (0.0,)}, missing=1, truth=item.text)
        right = float((predicted["text"] == item.text) != ("wrong" in item.text))
        return Score(
            values={"accuracy": (right,)},
            curves={"length": (float(len(item.text)), right)},
            truth=item.text,
        )

    def expected(self, items):
        return Expected(fields={"text": "text"})


def case(name, *texts, load=None, **fields):
    items = tuple(Item(id=f"{name}/{t}", kind=t.split()[0], text=t, **fields) for t in texts)
    return Case(media=name, load=load or partial(media, name), items=items)


def media(name, choose):
    assert callable(choose)
    return Media(
        kind="image",
        frames=torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
        times=torch.zeros(1),
        indices=(0,),
        size=(4, 4),
        duration=0.0,
        total_frames=1,
        source=name,
    )


def gone(choose):
    raise MediaError("a.mp4 does not exist")
