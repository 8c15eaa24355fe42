"""`tpo datasets`, `tpo convert-data`, and `tpo inspect` of a dataset as released."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from tests.plugins.datasets.cases import write
from tests.plugins.datasets.temporal_cases import CHARADES
from tpo_core import cli, open_dataset, registry
from tpo_core.errors import PluginError, RecordError
from tpo_core.media.open import open_media
from tpo_core.media.write import write_video
from tpo_core.records.reader import RecordFile
from tpo_core.records.schema import Record

CLIP = "Charades_v1_480/AB12C.mp4"


@pytest.fixture
def tpo(capsys):
    """Run the command line; return its exit code, what it printed, and what it complained of."""

    def run(*words):
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def data(tmp_path):
    """Charades-STA with a real video of 30 s: two usable records, three bad rows."""
    folder = write(tmp_path / "charades", CHARADES.files)
    write_video(folder / CLIP, torch.zeros(60, 3, 32, 48, dtype=torch.uint8), fps=2)
    return folder


def records(folder):
    items = open_dataset("charades_sta", folder)
    return [item for item in items if isinstance(item, Record)]


def test_datasets_are_listed_with_what_each_needs(tpo):
    code, out, _ = tpo("datasets")
    assert code == 0
    for spec in registry.list_datasets():
        assert f"{spec.name}: {spec.summary}\n" in out
    assert "  files    charades_sta_<split>.txt  Charades_v1_<split>.csv  <id>.mp4\n" in out
    rows = {row["name"]: row for row in json.loads(tpo("datasets", "--json")[1])}
    assert set(rows) == {spec.name for spec in registry.list_datasets()}
    row = rows["qvhighlights"]
    assert row["tasks"] == ["temporal"]
    assert row["splits"] == ["train", "val", "test"]
    assert row["licence"] == "CC-BY-NC-SA-4.0"
    assert row["home"].startswith("https://")


@pytest.mark.parametrize("spec", registry.list_datasets(), ids=lambda spec: spec.name)
def test_every_dataset_of_others_says_its_licence_home_and_files(spec):
    assert spec.files
    if spec.name not in ("jsonl", "tiny_world"):
        assert spec.licence
        assert spec.home.startswith("http")


def test_listing_imports_neither_readers_nor_torch():
    code = (
        "import sys; from tpo_core.cli import main; assert main(['datasets']) == 0\n"
        "names = ('torch', 'av', 'numpy', 'tpo_plugins.datasets.rows')\n"
        "print([name for name in names if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]\n"


class TestConvert:
    def test_what_is_written_is_what_the_reader_gives(self, tpo, data):
        out = data / "out.jsonl"
        code, text, _ = tpo("convert-data", "charades_sta", data, out, "--limit", 0.5)
        assert code == 0
        assert [parsed.record for parsed in RecordFile(out).iter_records()] == records(data)
        lines = [" ".join(line.split()) for line in text.splitlines()]
        assert "records 2" in lines
        assert "task: temporal 3" in lines
        assert "quarantined 3 (50.0%)" in lines
        assert "span ends after the video: clipped to its end: 1" in lines
        assert any("charades_sta_train.txt:6: 'AB12C 1.0 2.0##twice" in line for line in lines)
        assert lines[-1] == f"records written to {out}"

    @pytest.mark.parametrize("absolute", [False, True])
    def test_media_paths_are_from_the_file_or_absolute(self, tpo, data, tmp_path, absolute):
        out = tmp_path / "elsewhere" / "deep" / "out.jsonl"
        words = ["--absolute"] if absolute else []
        code, text, _ = tpo("convert-data", "charades_sta", data, out, "--limit", 0.5, *words)
        assert code == 0
        assert "read it with --allow-outside" in text
        first, _ = RecordFile(out, allow_outside=True).iter_records()
        expected = data / CLIP if absolute else f"../../charades/{CLIP}"
        assert first.record.media.path == str(expected)
        assert first.media_path.resolve() == (data / CLIP).resolve()
        assert isinstance(next(RecordFile(out).iter_records()), RecordError)

    def test_media_behind_a_link_count_as_outside(self, tpo, data, tmp_path):
        (data / "Charades_v1_480").rename(tmp_path / "disk")
        (data / "Charades_v1_480").symlink_to(tmp_path / "disk")
        out = data / "out.jsonl"
        report = tpo("convert-data", "charades_sta", data, out, "--limit", 0.5, "--json")[1]
        assert json.loads(report)["allow_outside"] is True
        assert isinstance(next(RecordFile(out).iter_records()), RecordError)
        assert next(RecordFile(out, allow_outside=True).iter_records()).media_path.is_file()

    def test_too_many_bad_rows_write_nothing(self, tpo, data):
        out = data / "out.jsonl"
        out.write_text("what was there before")
        code, _, error = tpo("convert-data", "charades_sta", data, out)
        assert code == 1
        assert "3 of 6 records (50.0%) cannot be used, more than the 1.0% allowed" in error
        assert out.read_text() == "what was there before"
        assert not list(data.glob(".*partial"))

    def test_an_interrupt_leaves_nothing_behind(self, tpo, data, monkeypatch):
        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setattr("tpo_core.records.convert.tasks_of", interrupted)
        out = data / "out.jsonl"
        assert tpo("convert-data", "charades_sta", data, out, "--limit", 0.5)[0] == 130
        assert not out.exists()
        assert not list(data.glob(".*partial"))

    def test_missing_media_are_written_unless_they_are_checked(self, tpo, data):
        out = data / "out.jsonl"
        words = ["convert-data", "charades_sta", data, out, "--limit", 0.9, "--json"]
        assert json.loads(tpo(*words)[1])["records"] == 2
        report = json.loads(tpo(*words, "--check-media")[1])
        assert report["records"] == 1
        (missing,) = [bad for bad in report["quarantined"] if bad["field"] == "media.path"]
        assert missing["path"] == "charades_sta/train/GH78I"
        assert missing["reason"] == f"{data / 'GH78I.mp4'} does not exist"

    def test_a_record_that_training_would_refuse_is_quarantined(self, tpo, tmp_path):
        lines = ["AB12C 1.0 2.0##the <mask> token.\n", *["AB12C 1.0 2.0##it rains.\n"] * 9]
        write(tmp_path, {"charades_sta_test.txt": "".join(lines)})
        out = tmp_path / "out.jsonl"
        code, _, error = tpo("convert-data", "charades_sta", tmp_path, out, "--limit", 0.5)
        assert code == 1
        assert "<mask> cannot stand in a user turn" in error

    def test_a_url_is_not_taken_for_a_path(self, tpo, tmp_path):
        row = {"video": "https://example.org/a.mp4", "prompt": "What?", "chosen": "Rain."}
        write(tmp_path, {"sft_dpo_17k.jsonl": [row]})
        code, _, error = tpo("convert-data", "llava_hound_dpo", tmp_path, tmp_path / "out.jsonl")
        assert code == 1
        assert "https://example.org/a.mp4 is a URL; download the file" in error

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["charades_st", "."], "unknown dataset 'charades_st'; did you mean 'charades_sta'?"),
            (["charades_sta", "nowhere"], "nowhere does not exist; expected the folder"),
            (["charades_sta", "."], "no charades_sta_train.txt or"),
            (["charades_sta", ".", "--split", "tets"], "did you mean 'test'?"),
        ],
    )
    def test_what_cannot_be_read_is_said_in_one_line(
        self, tpo, tmp_path, monkeypatch, words, message
    ):
        monkeypatch.chdir(tmp_path)
        code, _, error = tpo("convert-data", *words[:2], "out.jsonl", *words[2:])
        assert code == 1
        assert error.startswith("tpo: ")
        assert message in error
        assert len(error.splitlines()) == 1

    def test_a_split_without_answers_says_why_nothing_is_left(self, tpo, tmp_path):
        row = {"qid": 1, "query": "rain", "duration": 4, "vid": "v"}
        write(tmp_path, {"highlight_test_release.jsonl": [row, row]})
        code, _, error = tpo("convert-data", "qvhighlights", tmp_path, tmp_path / "out.jsonl")
        assert code == 1
        assert "holds no record of qvhighlights that can be used" in error
        assert "answer is not released: left out: 2" in error


class TestInspect:
    def test_each_split_is_counted_with_its_quirks(self, tpo, data):
        write(data, {"charades_sta_test.txt": "AB12C 3.4 9.0##person opens a box.\n"})
        code, out, _ = tpo("inspect", "charades_sta", data, "--limit", 0.9)
        assert code == 0
        train, test = out.split("split test:")
        rows = [" ".join(line.split()) for line in train.splitlines()]
        assert rows[:8] == [
            "split train:",
            "records 2",
            "conversations 3",
            "task: temporal 3",
            "media: video 2",
            "media missing 1",
            "quarantined 3 (50.0%)",
            "",
        ]
        assert "span starts after the video ends: left out: 1" in train
        assert "Charades_v1_train.csv:5: length: 'long' is no length in seconds" in train
        assert "records 1" in [" ".join(line.split()) for line in test.splitlines()]

    def test_splits_that_are_not_there_are_named(self, tpo, data):
        code, out, _ = tpo("inspect", "charades_sta", data, "--limit", 0.9, "--json")
        report = json.loads(out)
        assert code == 0
        assert list(report["splits"]) == ["train"]
        assert report["splits"]["train"]["media_missing"] == 1
        assert report["splits"]["train"]["quirks"] == dict(CHARADES.quirks)
        assert "no charades_sta_test.txt" in report["absent"]["test"]
        code, _, error = tpo("inspect", "charades_sta", data, "--split", "test")
        assert code == 1
        assert "no charades_sta_test.txt" in error

    def test_too_many_bad_rows_fail(self, tpo, data):
        code, _, error = tpo("inspect", "charades_sta", data)
        assert code == 1
        assert "more than the 1.0% allowed cannot be used" in error

    def test_a_sheet_of_samples_is_drawn_of_media_that_are_there(self, tpo, data, tmp_path):
        sheet = tmp_path / "sheet.png"
        code, _, error = tpo("inspect", "charades_sta", data, "--limit", 1, "--out", sheet)
        assert code == 0
        assert f"samples drawn to {sheet}" in error
        assert open_media(sheet, num_frames=1).size[1] == 800
        (data / CLIP).write_bytes(b"no video")
        sheet.unlink()
        _, _, error = tpo("inspect", "charades_sta", data, "--limit", 1, "--out", sheet)
        assert f"not drawn: charades_sta/train/AB12C:0: media.path: {data / CLIP}" in error
        assert "nothing was drawn" in error
        assert not sheet.exists()

    def test_a_dataset_without_its_folder_asks_for_it(self, tpo):
        code, _, error = tpo("inspect", "charades_sta")
        assert code == 1
        assert "charades_sta is a dataset; give the folder with its files too" in error
        code, _, error = tpo("inspect", "records.jsonl", "--split", "test")
        assert code == 2
        assert "a split is of a dataset" in error

    def test_data_without_named_splits_are_read_whole(self, tpo, world):
        code, out, _ = tpo("inspect", "jsonl", world, "--json")
        assert code == 0
        assert json.loads(out)["splits"]["all"]["records"] == 36


def test_a_reader_that_yields_something_else_is_named(monkeypatch):
    monkeypatch.setattr(registry, "load_dataset", lambda name: lambda source, *, split: ["text"])
    with pytest.raises(PluginError, match="dataset 'odd' yielded str; expected Record or"):
        list(open_dataset("odd", "."))
