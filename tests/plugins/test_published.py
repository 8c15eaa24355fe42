"""Published figures: tables whose parts agree, and what stands beside a benchmark's own figures."""

from __future__ import annotations

import pytest

from tests.plugins import evaluation_runs as runs
from tpo_core.cli import main
from tpo_core.errors import InputError
from tpo_core.evaluation import open_benchmark
from tpo_plugins.benchmarks.mvbench import FOLDERS
from tpo_plugins.benchmarks.specs import BENCHMARKS
from tpo_plugins.published import load_paper, published_by_kind, published_figures

PAPER = load_paper()


def cells(number, row):
    table = PAPER.table(number)
    return dict(zip(table.columns, row.values, strict=True))


def rows_of(number):
    return [pytest.param(row, id=row.model) for row in PAPER.table(number).rows]


def noted(row, what):
    return what in row.note


def test_every_results_table_of_the_paper_is_there():
    assert [table.number for table in PAPER.tables] == list(range(2, 17))


# A figure copied wrongly would not agree with the others of its row any more. Where the paper's own
# figures disagree, a note says so.


@pytest.mark.parametrize("row", rows_of(2))
@pytest.mark.parametrize("subtitles", ["w/o s.", "w/ s."])
def test_videomme_is_the_mean_over_equally_many_videos_of_three_durations(row, subtitles):
    found = cells(2, row)
    parts = [found[f"{duration} {subtitles}"] for duration in ("Short", "Medium", "Long")]
    agrees = found[f"VideoMME {subtitles}"] == pytest.approx(sum(parts) / 3, abs=0.1)
    assert agrees == (row.model != "Chat-UniVi")


@pytest.mark.parametrize("row", rows_of(13))
def test_mvbench_is_the_mean_over_its_tasks(row):
    average, *tasks = row.values
    assert len(tasks) == 20
    agrees = average == pytest.approx(sum(tasks) / 20, abs=0.06)
    assert agrees != noted(row, "above the mean of its columns")


@pytest.mark.parametrize("row", rows_of(14))
def test_mmiu_is_the_mean_over_its_tasks(row):
    overall, *tasks = row.values
    assert len(tasks) == 52
    mean = sum(tasks) / 52
    assert (overall == pytest.approx(mean, abs=0.07)) != noted(row, "the mean of the printed")
    if "the mean of the printed" in row.note:
        assert f"{mean:.2f}" in row.note


@pytest.mark.parametrize("row", rows_of(9))
@pytest.mark.parametrize("dataset", ["Ref-YouTube-VOS", "MeViS"])
def test_j_and_f_is_the_mean_of_j_and_f(row, dataset):
    both, j, f = (cells(9, row)[f"{dataset} {name}"] for name in ("J&F", "J", "F"))
    if both is None:
        assert (j, f) == (None, None)
        return
    agrees = both == pytest.approx((j + f) / 2, abs=0.06)
    assert agrees == ((row.model, dataset) != ("VideoLISA", "Ref-YouTube-VOS"))


@pytest.mark.parametrize(("number", "model"), [(2, "Chat-UniVi"), (9, "VideoLISA")])
def test_rows_that_disagree_are_named_in_the_notes(number, model):
    assert any(model in note for note in PAPER.table(number).notes)


@pytest.mark.parametrize("number", [11, 15])
def test_ablations_begin_with_the_main_result(number):
    first = cells(number, PAPER.table(number).rows[0])
    main = [row for row in PAPER.table(5).rows if row.model == "VideoChat-TPO"]
    assert [first[f"Charades-STA {name}"] for name in PAPER.table(5).columns] == list(
        main[0].values
    )
    assert first["MVBench"] == cells(2, PAPER.table(2).rows[-1])["MVBench"]


def test_what_was_not_found_and_what_was_inferred_is_named():
    named = " ".join(PAPER.missing)
    for part in ("version 1", "Tables 5 and 6", "Table 16", "RefCOCO+"):
        assert part in named
    assert [table.number for table in PAPER.tables if table.reconstructed] == [12]


# Figures beside a benchmark's own


@pytest.mark.parametrize("name", PAPER.benchmarks)
def test_published_figures_are_figures_of_the_benchmark(name):
    benchmark = open_benchmark(name)
    published = benchmark.published()
    assert published == published_figures(name)
    assert published
    for one in published:
        assert one.metrics.keys() <= set(benchmark.metrics)
        assert all(0 < value < 1 for value in one.metrics.values())
        assert one.source.startswith("arXiv 2412.19326")


def test_every_benchmark_of_the_paper_has_published_figures():
    without = {"tiny_world", "refcoco_plus", "refcocog", "ref_davis17", "ref_youtube_vos_train"}
    without |= {"ego4d_nlq", "ego4d_nlq_test"}
    have = {spec.name for spec in BENCHMARKS if published_figures(spec.name)}
    assert have == {spec.name for spec in BENCHMARKS} - without


def test_a_benchmark_that_the_paper_does_not_know_has_none():
    assert published_figures("another") == ()


def rows_for(benchmark, model="VideoChat-TPO"):
    return [one for one in published_figures(benchmark) if one.model == model]


def test_figures_are_shares_and_say_how_they_were_measured():
    (one,) = rows_for("charades_sta")
    assert one.metrics == {"r1@0.3": 0.583, "r1@0.5": 0.402, "r1@0.7": 0.184, "miou": 0.381}
    assert one.note == "zero-shot"
    assert one.source == "arXiv 2412.19326, Table 5"
    (one,) = rows_for("charades_sta_finetuned")
    assert one.metrics == {"r1@0.3": 0.77, "r1@0.5": 0.65, "r1@0.7": 0.407, "miou": 0.55}
    assert one.note == "fine-tuned"


def test_one_setting_may_differ_between_the_datasets_of_a_table():
    assert rows_for("ref_youtube_vos")[0].note == "zero-shot"
    assert rows_for("mevis")[0].note.startswith("trained on MeViS")


def test_versions_of_the_paper_that_differ_are_both_given():
    first, second = rows_for("qvhighlights")
    assert (first.metrics, second.metrics) == (
        {"hl_map": 0.388, "hl_hit@1": 0.662},
        {"hl_map": 0.386, "hl_hit@1": 0.654},
    )
    assert first.source == "arXiv 2412.19326v1, Table 6"
    assert second.source == "arXiv 2412.19326v2, Table 6"
    assert "the split is not named" in first.note


def test_a_figure_that_is_not_given_is_left_out():
    (one,) = rows_for("charades_sta", "TimeChat")
    assert one.metrics == {"r1@0.5": 0.322, "r1@0.7": 0.134}


def test_ablations_are_named_as_variants_and_repeat_nothing():
    models = [one.model for one in published_figures("charades_sta")]
    assert models.count("VideoChat-TPO") == 1
    assert "VideoChat-TPO, textualised task data" in models
    (one,) = rows_for("charades_sta", "VideoChat-TPO, only the temporal head")
    assert "reconstructed: which heads a row has" in one.note


def test_figures_by_kind_are_those_of_the_benchmarks_kinds():
    found = published_by_kind("mvbench")["accuracy"]
    assert list(found) == list(FOLDERS)
    assert sum(found.values()) / 20 == pytest.approx(0.668, abs=5e-4)
    assert found["action_localization"] == 0.55
    assert published_by_kind("charades_sta") == {}


def test_the_command_prints_them_under_the_result(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    runs.charades(tmp_path, "result")
    rows, data = str(tmp_path / "result.jsonl"), str(tmp_path / "charades")
    assert main(["eval", "charades_sta", "--predictions", rows, "--data", data]) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    table = {line[1].strip(): [cell.strip() for cell in line[2:-1]] for line in lines if line[2:]}
    ours = ["0.750", "0.750", "0.750", "0.632"]
    assert table["this result"][:4] == ours
    assert table["VideoChat-TPO"] == [
        "0.583", "0.402", "0.184", "0.381", "arXiv 2412.19326, Table 5 (zero-shot)"
    ]  # fmt: skip


# Files of tables

SMALL = """\
title: a paper
paper: arXiv 1
sources: {a: {cite: arXiv 1v1, date: 2024-01-01, seen: all}}
missing: []
tables:
  - {number: 1, title: t, columns: [x, y], sources: [a], rows: [{model: m, values: [1.0, null]}]}
benchmarks: {b: [{table: 1, columns: {first: x}}]}
"""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[1.0, null]", "[1.0]", "table 1: m has 1 values; expected 2"),
        ("[1.0, null]", "[101.0, null]", "less than or equal to 100"),
        ("[x, y]", "[x, x]", "table 1 has a column twice"),
        ("{first: x}", "{first: z}", r"benchmark b: table 1 has no columns \['z'\]"),
        ("table: 1,", "table: 2,", r"benchmark b: table 2 has no columns \['x'\]"),
        ("sources: [a]", "sources: [c]", r"sources \['c'\] that are not declared"),
        ("missing: []", "lost: []", "missing"),
        ("title: a paper", "title: [", "holds no published tables"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, old, new, reason):
    path = tmp_path / "tables.yaml"
    path.write_text(SMALL)
    assert load_paper(path).table(1).rows[0].values == (1.0, None)
    broken = tmp_path / "broken.yaml"
    assert old in SMALL
    broken.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError, match=reason) as error:
        load_paper(broken)
    assert str(broken) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.yaml: No such file"):
        load_paper(tmp_path / "none.yaml")
