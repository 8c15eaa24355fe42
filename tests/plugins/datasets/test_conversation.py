"""Readers of conversations: what comes of each release in `conversation_cases`."""

from __future__ import annotations

import pytest

from tests.plugins.datasets.cases import check_counts, check_steady, read, write
from tests.plugins.datasets.conversation_cases import RELEASES, SHAREGPT4V, YOUCOOK2, said
from tpo_core.errors import InputError, UnknownName
from tpo_core.records.source import open_dataset
from tpo_core.records.validate import check_record, registered_rules

each_release = pytest.mark.parametrize("release", RELEASES, ids=str)


def check_turn(text, expected):
    """Compare a turn with a text, or look for several texts in it (of a template)."""
    if isinstance(expected, str):
        assert text == expected
    else:
        assert any(part in text for part in expected)


@each_release
def test_a_release_gives_its_records_counts_its_quirks_and_names_its_bad_rows(release, tmp_path):
    found = read(release.name, write(tmp_path, release.files), release.split)
    assert set(found.records) == set(release.records)
    for name, (path, branches) in release.records.items():
        record = found.records[name]
        assert (record.media.path if record.media else None) == path
        for branch, expected in zip(record.branches, branches, strict=True):
            texts = [message.content for message in branch.messages]
            for text, turn in zip(texts, expected, strict=True):
                check_turn(text, turn)
    check_counts(found, release)


@each_release
def test_its_records_are_valid_and_the_same_on_every_run(release, tmp_path):
    check_steady(release, tmp_path)


@each_release
def test_a_missing_file_is_named_and_a_wrong_split_refused(release, tmp_path):
    with pytest.raises(InputError, match=rf"was found in {tmp_path}"):
        open_dataset(release.name, tmp_path)
    with pytest.raises(UnknownName, match="unknown split 'tests'"):
        open_dataset(release.name, tmp_path, split="tests")


def test_youcook2_reads_each_split_from_its_one_file(tmp_path):
    write(tmp_path, YOUCOOK2.files)
    assert list(read("youcook2", tmp_path, "val").records) == ["youcook2/ddddddddddd"]
    assert len(read("youcook2", tmp_path).records) == 3


def test_media_are_pictures_or_videos_as_released(tmp_path):
    for release in RELEASES:
        folder = write(tmp_path / release.name, release.files)
        for record in read(release.name, folder, release.split).records.values():
            if record.media is not None:
                assert record.media.type == (
                    "image" if record.media.path.endswith(".jpg") else "video"
                )


def test_a_text_that_holds_a_mark_of_the_record_format_does_not_pass(tmp_path):
    (name,) = [name for name in SHAREGPT4V.files if name.endswith(".json")]
    row = {"id": "1", "image": "a.jpg", "conversations": said("What?", "A <mask> token.")}
    write(tmp_path, {name: [row]})
    (record,) = read("sharegpt4v", tmp_path).records.values()
    with pytest.raises(InputError, match=r"the assistant turns mark \[mask\] but the targets"):
        check_record(record, registered_rules())
