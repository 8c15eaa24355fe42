"""`evaluate`: what is asked, what counts as missing, what is written, what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from tests.core.evaluation.stand_ins import Echo, Repeat, case, gone
from tpo_core.errors import InputError, PluginError, UnknownName
from tpo_core.evaluation import EvaluationResult, evaluate, open_benchmark
from tpo_core.records.quarantine import BadSample
from tpo_core.records.schema import RegionPrompt


def test_figures_are_means_over_items_and_by_kind(tmp_path):
    bench = Repeat([case("a", "one x", "two"), case("b", "one refuse")])
    result = evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert result.metrics == {"accuracy": pytest.approx(2 / 3, abs=1e-6), "other": None}
    assert result.details["one"]["accuracy"] == {"mean": 0.5, "count": 2}
    assert result.details["two"]["accuracy"] == {"mean": 1.0, "count": 1}
    assert result.protocol == {"rule": "repeat"}
    assert (result.model["backbone"], result.model["heads"]) == ("echo", ["region"])
    assert (result.data, result.limit) == (str(tmp_path), None)
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
    assert result.notes == ("1 answers failed and count as missing; the first: refused",)


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


def test_media_that_cannot_be_read_fail_their_questions_alone(tmp_path):
    bench = Repeat([case("a", "one", "two", load=gone), case("b", "one")])
    model = Echo()
    result = evaluate(bench, model, data=tmp_path, progress=False)
    assert model.batches == [["one"]]
    assert (result.counts["failed"], result.counts["quarantined"]) == (2, 0)
    assert result.predictions[0].reason == "the media cannot be read: a.mp4 does not exist"
    assert result.metrics["accuracy"] == pytest.approx(1 / 3, abs=1e-6)


def test_media_are_not_decoded_for_questions_that_are_not_asked(tmp_path):
    bench = Repeat([case("a", "one", tasks=("mask",), load=gone)])
    result = evaluate(bench, Echo(tasks=()), data=tmp_path, progress=False)
    assert [prediction.status for prediction in result.predictions] == ["no head"]


def test_a_prefix_is_given_with_the_question(tmp_path):
    model = Echo()
    seen = []
    model.predict_batch = lambda questions, **_: (
        seen.extend(question.prefix for question in questions) or Echo().predict_batch(questions)
    )
    bench = Repeat([case("a", "one", prefix="Best option: (")])
    result = evaluate(bench, model, data=tmp_path, progress=False)
    assert seen == ["Best option: ("]
    assert result.predictions[0].prefix == "Best option: ("


def test_a_macro_figure_is_the_mean_over_kinds(tmp_path):
    cases = [case("a", "one x", "one wrong", "one wrong y", "two")]
    plain = evaluate(Repeat(cases), Echo(), data=tmp_path, progress=False)
    macro = evaluate(Repeat(cases, macro={"accuracy"}), Echo(), data=tmp_path, progress=False)
    assert plain.metrics["accuracy"] == 0.5
    assert macro.metrics["accuracy"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-6)
    assert macro.details["all"]["accuracy"] == {"mean": macro.metrics["accuracy"], "count": 4}
    assert {**macro.details, "all": None} == {**plain.details, "all": None}


def test_a_value_that_the_official_rule_leaves_out_is_in_no_denominator(tmp_path):
    class Forgiving(Repeat):
        def score(self, item, predicted):
            found = super().score(item, predicted)
            return replace(found, values={"accuracy": ()}) if predicted is None else found

    bench = Forgiving([case("a", "one", "two silent")], macro={"accuracy"})
    result = evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert result.metrics["accuracy"] == 1
    assert result.counts["missing"] == 1
    assert "1 of 2 questions are left out of accuracy by the official rule" in result.notes[0]
    assert "two" not in [kind for kind, figures in result.details.items() if figures]


def test_questions_of_a_case_can_be_scored_together(tmp_path):
    class Together(Repeat):
        def score_case(self, items, predicted):
            self.seen = [len(items), [fields["text"] for fields in predicted]]
            return super().score_case(items, predicted)

    bench = Together([case("a", "one", "two")])
    evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert bench.seen == [2, ["one", "two"]]


def test_curves_are_the_mean_over_questions_that_have_one(tmp_path):
    bench = Repeat([case("a", "one", "three"), case("b", "two silent")])
    result = evaluate(bench, Echo(), data=tmp_path, progress=False)
    assert result.curves == {
        "length": {"x": [1, 2], "y": [4.0, 1.0], "x_label": "x", "y_label": "y", "questions": 2}
    }


def test_heights_that_do_not_fit_their_curve_are_an_error(tmp_path):
    class Short(Repeat):
        def score(self, item, predicted):
            return replace(super().score(item, predicted), curves={"length": (1.0,)})

    with pytest.raises(PluginError, match=r"curve 'length' has \[1\] heights, expected 2"):
        evaluate(Short([case("a", "one")]), Echo(), data=tmp_path, progress=False)


def test_two_questions_with_one_id_are_an_error(tmp_path):
    bench = Repeat([case("a", "one"), case("a", "one")])
    with pytest.raises(PluginError, match="repeat has two questions with the id 'a/one'"):
        evaluate(bench, Echo(), data=tmp_path, progress=False)


def test_a_kind_may_not_have_the_name_of_all_kinds(tmp_path):
    with pytest.raises(PluginError, match="repeat has a kind 'all', which stands for all kinds"):
        evaluate(Repeat([case("a", "all x")]), Echo(), data=tmp_path, progress=False)


def test_a_prediction_that_is_no_json_is_an_error(tmp_path):
    class Odd(Repeat):
        def read(self, item, answer, media):
            return {"text": {1, 2}}

    with pytest.raises(PluginError, match="not plain JSON"):
        evaluate(Odd([case("a", "one")]), Echo(), data=tmp_path, progress=False)


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
    assert EvaluationResult.read(output) == replace(result, seconds=round(result.seconds, 2))
    lines = [json.loads(x) for x in (output / "predictions.jsonl").read_text().splitlines()]
    assert [line["answer"] for line in lines] == ["one", "two"]
    assert lines[0]["scores"] == {"accuracy": [1.0]}
    assert lines[0]["predicted"] == {"text": "one"}
    assert sorted(path.name for path in output.iterdir()) == ["predictions.jsonl", "results.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "limit is 0; expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"data": "nowhere"}, "data folder nowhere does not exist; give the folder of repeat's"),
        ({"data": __file__}, "is no folder"),
        ({"resume": True}, "are about an output folder; give output"),
        ({"output": "x", "resume": True, "overwrite": True}, "choose one"),
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


def test_a_benchmark_without_a_strict_variant_says_so():
    with pytest.raises(InputError, match="tiny_world has no strict variant"):
        open_benchmark("tiny_world", strict=True)


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
