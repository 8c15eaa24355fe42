"""SEED-Bench-2: the subsets I and M, the first character, pictures where the release has them."""

from __future__ import annotations

import pytest

import tpo_core as tpo
from tests.plugins.benchmarks.choice_answers import (
    OFFICIAL,
    ROWS,
    bad_rows,
    items_of,
    percent,
    score_texts,
)
from tests.plugins.datasets.cases import write
from tests.plugins.datasets.released import write_picture
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult
from tpo_core.evaluation.named import open_benchmark
from tpo_core.media.sampling import choose_frames
from tpo_plugins.benchmarks.seed_bench2 import SeedBench2

FILE = "SEED-Bench_v2_level1_2_3.json"
CHOICES = {"choice_a": "One", "choice_b": "Two", "choice_c": "Three", "choice_d": "Four"}


def row(name, kind="Single Image", pictures="1_2", source="SEED-Bench v2", **more):
    return {
        "answer": "B",
        **CHOICES,
        "data_id": pictures,
        "data_source": source,
        "data_type": kind,
        "level": "L1",
        "question": "How many are there?",
        "question_id": name,
        "question_type_id": int(name.split("_")[0]),
        "subpart": "made",
        "version": "v2",
        **more,
    }


def release(folder, rows):
    return write(folder, {FILE: {"questions": rows, "question_type": {"Instances Counting": 5}}})


@pytest.fixture
def data(tmp_path):
    write_picture(tmp_path / "p.png", size=(20, 30))
    (tmp_path / "cc3m-image").mkdir()
    # The released files of this source have no suffix.
    (tmp_path / "p.png").rename(tmp_path / "cc3m-image" / "1454426_2591111986")
    pair = ["task17/a_1.png", "task17/a_2.png"]
    for name in pair:
        write_picture(tmp_path / "SEED-Bench-2-image" / name, size=(24, 24))
    question = "<img>: blue. <img>: orange. <img>:"
    rows = [
        row("5_0", pictures="1454426_2591111986", source="cc3m"),
        row("17_0", "Multiple Images", pair),
        row("17_1", "Multiple Images", pair, answer="C"),
        row("17_2", "Multiple Images", ["task17/lost.png", "task17/a_2.png"]),
        row("23_0", "Interleaved Image", pair, question=question),
        row("25_0", "Image Generation", pair, answer="A"),
    ]
    return release(tmp_path, rows)


def test_figures_are_those_of_lmms_eval(tmp_path):
    kinds = {"Action Sequence": "Single Image"}
    rows, texts, right = [], {}, {"Single Image": [], "Multiple Images": []}
    asked = [pair for pair in zip(ROWS, OFFICIAL, strict=True) if pair[0]["gold_letter"] in "ABCD"]
    for number, (one, official) in enumerate(asked):
        kind = kinds.get(one["task_type"], "Multiple Images")
        rows.append(row(f"1_{number}", kind, answer=one["gold_letter"]))
        texts[f"1_{number}"] = one["pred"]
        right[kind].append(official["seed2_lmms_pred"] == one["gold_letter"])
    assert len(asked) > 40
    result = score_texts("seed_bench2", release(tmp_path, rows), texts)
    for name, kind in (("accuracy_i", "Single Image"), ("accuracy_m", "Multiple Images")):
        assert 100 * result.metrics[name] == pytest.approx(percent(right[kind]), abs=1e-4)
        assert result.details[kind][name]["count"] == len(right[kind])
    dimension = result.details["all"]["dimension/1"]
    assert 100 * dimension["mean"] == pytest.approx(
        percent(hit for each in right.values() for hit in each), abs=1e-4
    )


def test_a_missing_or_empty_answer_is_wrong(data):
    result = score_texts("seed_bench2", data, {"17_0": "B. Two", "17_1": " "})
    assert result.metrics["accuracy_m"] == pytest.approx(1 / 3, abs=1e-6)
    assert result.metrics["accuracy_i"] == 0.0
    assert result.counts["missing"] == 3
    with pytest.raises(InputError, match="no strict variant"):
        open_benchmark("seed_bench2", strict=True)


def test_subsets_are_chosen_by_data_type(data):
    assert [item.id for item in items_of(SeedBench2(), data)] == ["5_0", "17_0", "17_1", "17_2"]
    other = SeedBench2(image=["Interleaved Image"])
    items = {item.id: item for item in items_of(other, data)}
    assert set(items) == {"17_0", "17_1", "17_2", "23_0"}
    assert items["23_0"].figures == ("accuracy_i", "dimension/23")
    assert items["23_0"].text.startswith("(picture 1): blue. (picture 2): orange. (picture 3):\n")
    assert other.protocol != SeedBench2().protocol
    assert "loss" in other.protocol["differs"]
    with pytest.raises(InputError, match="expected one or more of Single Image"):
        SeedBench2(multiple=["Image Generation"])
    with pytest.raises(InputError, match="data types are none"):
        SeedBench2(image=[])


def test_pictures_and_prompt(data):
    cases = {case.items[0].id: case for case in SeedBench2().cases(data)}
    assert [len(case.items) for case in cases.values()] == [1, 2, 1]
    assert cases["5_0"].load(choose_frames).size == (20, 30)
    assert cases["17_0"].load(choose_frames).frames.shape == (2, 3, 24, 24)
    assert cases["5_0"].items[0].text == (
        "How many are there?\nA. One\nB. Two\nC. Three\nD. Four\n"
        "Answer with the letter of the right option alone."
    )


def test_bad_rows_are_set_aside_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=f"no {FILE} was found"):
        SeedBench2().size(tmp_path)
    rows = [
        row("1_0", answer="E"),
        row("1_1"),
        row("1_2", pictures=[]),
        row("1_1"),
        row("1_3", "Picture"),
    ]
    reasons = [str(bad) for bad in bad_rows(SeedBench2(), release(tmp_path, rows))]
    assert len(reasons) == 4
    assert "answer" in reasons[0]
    assert "no picture" in reasons[1]
    assert "question 1_1 is there twice" in reasons[2]
    assert "'Picture' is no data type; expected one of Single Image" in reasons[3]


def test_a_model_is_evaluated(data, tiny_model, tmp_path):
    out = tmp_path / "out"
    result = tpo.evaluate("seed_bench2", tiny_model, data=data, progress=False, output=out)
    assert (result.counts["questions"], result.counts["failed"]) == (4, 1)
    assert result.details["all"]["accuracy_m"]["count"] == 3
    read = EvaluationResult.read(out)
    assert read.metrics == result.metrics
    assert tuple(read.metrics) == SeedBench2.metrics
    for one in read.predictions:
        name = "accuracy_i" if one.id == "5_0" else "accuracy_m"
        assert one.scores[name] == (float((one.answer or "").strip()[:1] == one.truth),)
