"""Readers of moments: what comes of each release in `temporal_cases`."""

from __future__ import annotations

import pickle

import pytest
import torch

from tests.plugins.datasets.cases import check_counts, check_steady, read, write
from tests.plugins.datasets.temporal_cases import (
    CHARADES,
    DIDEMO,
    QUERYD,
    QVHIGHLIGHTS,
    QVHIGHLIGHTS_ROWS,
    QVHIGHLIGHTS_TEST,
    RELEASES,
)
from tpo_core.errors import InputError, UnknownName
from tpo_core.media.write import write_video
from tpo_core.records.source import open_dataset
from tpo_plugins.datasets import charades_sta
from tpo_plugins.datasets import temporal as quirk

each_release = pytest.mark.parametrize("release", RELEASES, ids=str)


def asked(branch):
    """Return the question and the spans of a branch, and the scores of its clips if it has any."""
    (target,) = branch.targets
    assert target["task"] == "temporal"
    scores = (target["saliency"]["scores"],) if "saliency" in target else ()
    return branch.messages[0].content, target["spans"], *scores


@each_release
def test_a_release_gives_its_records_counts_its_quirks_and_names_its_bad_rows(release, tmp_path):
    found = read(release.name, write(tmp_path, release.files), release.split)
    assert set(found.records) == set(release.records)
    for name, (path, branches) in release.records.items():
        record = found.records[name]
        assert (record.media.type, record.media.path) == ("video", path)
        for branch, (query, *labels) in zip(record.branches, branches, strict=True):
            question, *given = asked(branch)
            assert query in question
            assert given == labels
    check_counts(found, release)


@each_release
def test_its_records_are_valid_and_the_same_on_every_run(release, tmp_path):
    check_steady(release, tmp_path)


@pytest.mark.parametrize("name", sorted({release.name for release in RELEASES}))
def test_a_missing_file_is_named_with_the_folder_and_a_wrong_split_with_the_right_ones(
    name, tmp_path
):
    with pytest.raises(InputError, match=rf"no \S+.* was found in {tmp_path} or in folders up to"):
        open_dataset(name, tmp_path)
    with pytest.raises(InputError, match="nowhere does not exist; expected the folder"):
        open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(UnknownName, match=r"unknown split 'tran'; did you mean 'train'\?"):
        open_dataset(name, tmp_path, split="tran")


def test_saliency_times_are_the_middles_of_the_clips(tmp_path):
    found = read("qvhighlights", write(tmp_path, QVHIGHLIGHTS.files))
    record = found.records["qvhighlights/train/AbCdEfGhIjK_60.0_70.0"]
    assert record.branches[0].targets[0]["saliency"]["times"] == [1, 3, 5, 7, 9]


def test_qvhighlights_reads_the_test_split_with_labels_if_it_is_there(tmp_path):
    labelled = {"highlight_test_with_gt.jsonl": QVHIGHLIGHTS_ROWS[:1]}
    found = read("qvhighlights", write(tmp_path, QVHIGHLIGHTS_TEST.files | labelled), "test")
    assert list(found.records) == ["qvhighlights/test/AbCdEfGhIjK_60.0_70.0"]


def test_qvhighlights_reads_speech_for_pretraining_only_when_asked(tmp_path):
    row = {"qid": 1, "query": "so um", "duration": 9, "vid": "v", "relevant_windows": [[0, 4]]}
    write(tmp_path, QVHIGHLIGHTS.files | {"subs_train.jsonl": [row]})
    assert not any("subs" in name for name in read("qvhighlights", tmp_path).records)
    record = read("qvhighlights", tmp_path, "subs_train").records["qvhighlights/subs_train/v"]
    assert "saliency" not in record.branches[0].targets[0]


def test_charades_keeps_the_raw_times_for_benchmarks(tmp_path):
    items = charades_sta.read(write(tmp_path, CHARADES.files), split="train", clip=False)
    spans = [
        branch.targets[0]["spans"][0]
        for record in items
        if not isinstance(record, Exception)
        for branch in record.branches
    ]
    assert spans == [[3.4, 9.0], [5.0, 31.54], [40.0, 45.0], [0.0, 4.0]]


@pytest.mark.parametrize(
    ("release", "stem", "record", "branch"),
    [
        (DIDEMO, "3@N0_5_ef", "didemo/val/3@N0_5_ef", [[25, 28]]),
        (QUERYD, "AAAAAAAAAAA", "queryd/train/video-AAAAAAAAAAA", [[12.3, 14]]),
    ],
    ids=["didemo", "queryd"],
)
def test_a_length_that_is_not_released_is_read_from_the_video(
    release, stem, record, branch, tmp_path
):
    seconds = int(branch[0][1])
    write(tmp_path, release.files)
    frames = torch.zeros(seconds, 3, 16, 16, dtype=torch.uint8)
    write_video(tmp_path / "videos" / f"{stem}.mp4", frames, fps=1)
    found = read(release.name, tmp_path, release.split)
    assert found.records[record].branches[0].targets[0]["spans"] == branch
    assert found.quirks[quirk.CLIPPED] == 1


def test_queryd_falls_back_to_version_1_and_refuses_other_contents(tmp_path):
    files = {name.replace("-v2", ""): content for name, content in QUERYD.files.items()}
    assert read("queryd", write(tmp_path, files), "train").records
    name = "times_captions_combined_filtered.pkl"
    write(tmp_path, {name: pickle.dumps([1, 2])})
    with pytest.raises(InputError, match="holds a list; expected a dict by video"):
        open_dataset("queryd", tmp_path)
