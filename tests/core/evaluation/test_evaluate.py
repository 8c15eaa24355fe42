"""`evaluate`: what is asked, what counts as missing, what is written, what is refused."""

from __future__ import annotations

import json
import os
from types import MappingProxyType, SimpleNamespace

import pytest
import torch

from tpo_core.errors import InputError, UnknownName
from tpo_core.evaluation import Benchmark, Case, Item, Score, evaluate
from tpo_core.inference import Answer
from tpo_core.media.sampling import choose_frames
from tpo_core.media.types import Media
from tpo_core.records.quarantine import BadSample
from tpo_core.records.schema import RegionPrompt


class Echo(torch.nn.Module):
    """Answers with the question's text; refuses what holds `refuse`."""

    def __init__(self, tasks=("region",)):
        super().__init__()
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


def media(name):
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


class Repeat(Benchmark):
    """Asks each case's texts; an answer is right if it repeats the question."""

    name = "repeat"
    metrics = ("accuracy", "other")
    decoding = MappingProxyType({"max_new_tokens": 3})

    def __init__(self, cases):
        self.protocol = {"rule": "repeat"}
        self.listed = cases
        self.drawn = 0

    def size(self, data):
        return len(self.listed)

    def cases(self, data):
        for case in self.listed:
            self.drawn += 1
            yield case

    def score(self, item, answer):
        right = float(answer is not None and answer.text == item.text)
        return Score(values={"accuracy": (right,)}, missing=int(answer is None), truth=item.text)


def case(name, *texts, **fields):
    items = tuple(Item(id=f"{name}/{t}", kind=t.split()[0], text=t, **fields) for t in texts)
    return Case(media=media(name), items=items)


def test_figures_are_means_over_items_and_by_kind(tmp_path):
    bench = Repeat([case("a", "one x", "two"), case("b", "one refuse")])
    result = evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert result.metrics == {"accuracy": pytest.approx(2 / 3, abs=1e-6), "other": None}
    assert result.details["one"]["accuracy"] == {"mean": 0.5, "count": 2}
    assert result.details["two"]["accuracy"] == {"mean": 1.0, "count": 1}
    assert result.protocol == {"rule": "repeat"}
    assert result.model == {"backbone": "echo", "heads": ["region"]}
    assert set(result.versions) == {"python", "tpo", "torch", "transformers", "peft", "sam2"}


def test_one_failing_question_costs_one_answer(tmp_path):
    bench = Repeat([case("a", "one", "two refuse", "three")])
    result = evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert [prediction.status for prediction in result.predictions] == [
        "answered",
        "failed",
        "answered",
    ]
    assert result.predictions[1].reason == "refused"
    assert result.counts["failed"] == 1
    assert result.notes == ("1 answers failed and score 0; the first: refused",)


def test_a_task_without_a_head_is_not_asked_and_scores_0(tmp_path):
    prompt = RegionPrompt(box=(0.1, 0.1, 0.5, 0.5))
    bench = Repeat(
        [
            case("b", "two", tasks=("mask",)),
            case("a", "one"),
            case("c", "three", boxes=(prompt,)),
        ]
    )
    model = Echo(tasks=())
    result = evaluate(bench, model, data=tmp_path, progress=False)
    assert model.batches == [["one"]]
    assert [prediction.status for prediction in result.predictions] == [
        "no head",
        "answered",
        "no head",
    ]
    assert result.metrics["accuracy"] == pytest.approx(1 / 3, abs=1e-6)
    assert any("no head for mask: 1 questions" in note for note in result.notes)
    assert any("no head for region: 1 questions" in note for note in result.notes)


def test_bad_records_are_counted_and_in_no_figure(tmp_path):
    bad = BadSample(path="x.jsonl", line=3, reason="torn")
    result = evaluate(Repeat([bad, case("a", "one")]), Echo(), data=tmp_path, progress=False)
    assert result.metrics["accuracy"] == 1
    assert (result.counts["media"], result.counts["quarantined"]) == (2, 1)
    assert "x.jsonl:3: torn" in result.notes[0]


def test_media_are_held_a_batch_at_a_time_and_asked_together(tmp_path):
    bench = Repeat([case(name, "one", "two") for name in "abcde"])
    model, seen = Echo(), []

    def watch(done, total):
        seen.append((done, total, bench.drawn))

    evaluate(bench, model, data=tmp_path, progress=watch, batch_size=2)
    assert model.decoding == {"max_new_tokens": 3}
    assert [len(batch) for batch in model.batches] == [4, 4, 2]
    assert seen == [(2, 5, 2), (4, 5, 4), (5, 5, 5)]


def test_limit_looks_at_the_first_media(tmp_path):
    bench = Repeat([case(name, "one") for name in "abcde"])
    result = evaluate(bench, Echo(), data=tmp_path, limit=2, progress=False)
    assert [prediction.media for prediction in result.predictions] == ["a", "b"]


def test_results_are_written_whole(tmp_path):
    output = tmp_path / "deep" / "out"
    bench = Repeat([case("a", "one", "two")])
    result = evaluate(bench, Echo(), data=tmp_path, progress=False, output=output)
    assert json.loads((output / "results.json").read_text()) == result.to_json()
    lines = [json.loads(x) for x in (output / "predictions.jsonl").read_text().splitlines()]
    assert [line["answer"] for line in lines] == ["one", "two"]
    assert lines[0]["scores"] == {"accuracy": [1.0]}
    assert sorted(path.name for path in output.iterdir()) == ["predictions.jsonl", "results.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "limit is 0; expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"data": "nowhere"}, "data folder nowhere does not exist; give the folder of repeat's"),
        ({"data": __file__}, "is no folder"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate(
            Repeat([case("a", "one")]), Echo(), **{"data": tmp_path, "progress": False, **arguments}
        )


def test_an_unknown_benchmark_gets_a_suggestion(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'tiny_world'"):
        evaluate("tiny_word", Echo(), data=tmp_path)


def test_a_folder_where_nothing_can_be_used_is_an_error(tmp_path):
    bad = BadSample(path="x.jsonl", line=1, reason="torn")
    with pytest.raises(InputError, match=r"none of the 1 records .* x.jsonl:1: torn"):
        evaluate(Repeat([bad]), Echo(), data=tmp_path, progress=False)
    with pytest.raises(InputError, match="holds no question"):
        evaluate(Repeat([]), Echo(), data=tmp_path, progress=False)


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    model = Echo()
    with pytest.raises(InputError, match=r"cannot write to .*file"):
        evaluate(Repeat([case("a", "one")]), model, data=tmp_path, output=blocked, progress=False)
    assert model.batches == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        evaluate(Repeat([case("a", "one")]), Echo(), data=tmp_path, output=tmp_path / "out")
