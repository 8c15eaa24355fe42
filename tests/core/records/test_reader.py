from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tpo_core.errors import InputError, RecordError
from tpo_core.records.reader import RecordFile
from tpo_core.records.schema import MaskTarget, RegionPrompt, RegionTarget, TemporalTarget

Raw = dict[str, Any]
WriteRecords = Callable[..., Path]


def error_of(path: Path, index: int = 0, **options: Any) -> RecordError:
    with pytest.raises(RecordError) as caught:
        RecordFile(path, **options).read(index)
    error = caught.value
    assert error.path == str(path)
    assert error.line == index + 1
    assert str(error).startswith(f"{path}:{index + 1}: ")
    assert "\n" not in str(error)
    return error


def test_a_good_record(write_records: WriteRecords, good: Raw, folder: Path) -> None:
    file = RecordFile(write_records(good, good))
    assert len(file) == 2
    parsed = file.parse(1)
    assert (parsed.path, parsed.line) == (str(folder / "data.jsonl"), 2)
    assert parsed.media_path == folder / "clip.mp4"
    assert parsed.targets[0] == (
        TemporalTarget(spans=[(0.5, 1.5)]),
        RegionTarget(box=(0.1, 0.2, 0.4, 0.6)),
    )
    assert isinstance(parsed.targets[1][0], MaskTarget)
    assert list(parsed.targets[1][0].frames) == [0, 5]
    assert parsed.prompts == ((), (RegionPrompt(box=(0.1, 0.2, 0.4, 0.6), frame=3),))
    assert file.read(1) == parsed.record


def test_random_access_reads_single_lines(write_records: WriteRecords, good: Raw) -> None:
    lines = [{**good, "id": f"vidéo {number} é" + "x" * (number % 7)} for number in range(300)]
    path = write_records(*lines)
    file = pickle.loads(pickle.dumps(RecordFile(path)))
    for index in (299, 0, 150, 1):
        assert file.read(index).id == lines[index]["id"]
    with pytest.raises(IndexError):
        file.read(300)
    with pytest.raises(IndexError):
        file.read(-1)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_last_line_may_or_may_not_end(folder: Path, good: Raw, ending: bytes) -> None:
    line = json.dumps(good).encode()
    path = folder / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line + ending)
    file = RecordFile(path)
    assert len(file) == 2
    assert file.read(0) == file.read(1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "the line is empty"),
        (b"   \t", "the line is empty"),
        (b'{"id": "caf\xe9"}', "not UTF-8 (byte 0xe9 at column 12)"),
        (b"\x00\x00\x00", "not JSON"),
        (b'{"id": "v1", ', "not JSON: Expecting property name"),
        (b"[1, 2]", "a JSON list; expected an object"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"null", "a JSON NoneType"),
    ],
)
def test_lines_that_are_no_record(
    write_records: WriteRecords, good: Raw, line: bytes, reason: str
) -> None:
    path = write_records(good, line, good)
    assert reason in error_of(path, 1).reason
    assert [isinstance(item, RecordError) for item in RecordFile(path).iter_records()] == [
        False,
        True,
        False,
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; check the path"):
        RecordFile(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="is empty; expected one JSON record a line"):
        RecordFile(tmp_path / "empty.jsonl")


def test_a_file_that_vanished(write_records: WriteRecords, good: Raw) -> None:
    path = write_records(good)
    file = RecordFile(path)
    path.unlink()
    with pytest.raises(RecordError, match=r":1: cannot be read \(No such file"):
        file.read(0)


def changed(good: Raw, place: str, value: Any) -> Raw:
    """A copy of the record with the value at a dotted place set, or removed if it is `...`."""
    record = copy.deepcopy(good)
    *parents, last = place.split(".")
    inner: Any = record
    for part in parents:
        inner = inner[int(part) if isinstance(inner, list) else part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return record


BOX = "branches.0.targets.1.box"
SPANS = "branches.0.targets.0.spans"


@pytest.mark.parametrize(
    ("place", "value", "field", "reason"),
    [
        ("id", ..., "id", "Field required"),
        ("id", 7, "id", "valid string, got 7"),
        ("labels", [], "labels", "not part of the format"),
        ("branches", [], "branches", "at least 1 item"),
        ("media.type", "audio", "media.type", "'image' or 'video', got 'audio'"),
        ("media.path", "", "media.path", "at least 1 character"),
        ("media", None, "branches.0", "targets or prompts but no media"),
        (BOX, [0.4, 0.2, 0.1, 0.6], BOX, "reversed or empty; expected x1 < x2"),
        (BOX, [0.1, 0.2, float("nan"), 0.6], BOX, "not finite"),
        (BOX, [0.1, 0.2, float("inf"), 0.6], BOX, "not finite"),
        (BOX, [10, 20, 40, 60], BOX, "normalised to the image, not pixels"),
        (BOX, [1.0, 0.2, 1.0005, 0.6], BOX, "reversed or empty"),
        (BOX, [0.1, 0.2, 0.4], f"{BOX}.3", "Field required"),
        (BOX, "left", BOX, "got 'left'"),
        (SPANS, [[1.5, 0.5]], f"{SPANS}.0", "reversed or negative"),
        (SPANS, [[-1, 0.5]], f"{SPANS}.0", "reversed or negative"),
        (SPANS, [[0, 1], [0, float("nan")]], f"{SPANS}.1", "not finite"),
        (SPANS, [], SPANS, "at least 1 item"),
        ("branches.0.targets.0.task", "temporl", "branches.0.targets.0.task", "mean 'temporal'?"),
        ("branches.0.targets.0.task", ..., "branches.0.targets.0.task", "no task is named"),
        ("branches.1.prompts.0.task", "mask", "branches.1.prompts.0.task", "unknown task 'mask'"),
        ("branches.1.prompts.0.frame", -1, "branches.1.prompts.0.frame", "greater than or equal"),
        (
            "branches.0.targets.0.saliency",
            {"times": [0.1], "scores": []},
            "branches.0.targets.0.saliency",
            "1 times but 0 scores",
        ),
        (
            "branches.0.targets.0.saliency",
            {"times": [float("nan")], "scores": [1]},
            "branches.0.targets.0.saliency.times.0",
            "finite number",
        ),
        (
            "branches.1.targets.0.frames",
            {"-1": {"size": [2, 2], "counts": [4]}},
            "branches.1.targets.0.frames.-1.[key]",
            "greater than or equal to 0",
        ),
    ],
)
def test_malformed_fields(
    write_records: WriteRecords, good: Raw, place: str, value: Any, field: str, reason: str
) -> None:
    error = error_of(write_records(changed(good, place, value)))
    assert error.field == field
    assert reason in error.reason


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([3], "cover 3 pixels, but size [32, 48] has 1536"),
        ("52203", "cover 16 pixels"),
        ("zz", "is no compressed COCO RLE string"),
        ("oo", "or is cut off"),
        ("ooooooooooo0", "more than 35 bits"),
        ("é", "is no compressed COCO RLE string"),
        ("", "cover 0 pixels"),
        ([-1, 1537], "a run length is -1; expected none below 0"),
    ],
)
def test_masks_that_would_write_past_their_picture(
    write_records: WriteRecords, good: Raw, counts: Any, reason: str
) -> None:
    bad = changed(good, "branches.1.targets.0.frames.5.counts", counts)
    error = error_of(write_records(bad))
    assert error.field is not None
    assert error.field.startswith("branches.1.targets.0.frames.5")
    assert reason in error.reason


def said(good: Raw, branch: int, turn: int, text: str) -> Raw:
    return changed(good, f"branches.{branch}.messages.{turn}.content", text)


@pytest.mark.parametrize(
    ("branch", "turn", "text", "field", "reason"),
    [
        (0, 1, "At <temporal>.", "branches.0.targets", "mark [temporal] but the targets are"),
        (0, 1, "At <region>, <temporal>.", "branches.0.targets", "mark [region, temporal] but"),
        (0, 1, "<temporal> <region> <region>", "branches.0.targets", "for each marker, in order"),
        (0, 1, "At <temporal>, <regoin>.", "branches.0.targets", "did you mean <region>?"),
        (
            0,
            0,
            "Where, <region>?",
            "branches.0.prompts",
            "user turns mark [region] but the prompts",
        ),
        (1, 1, "Track it.", "branches.1.prompts", "mark [] but the prompts are [region]"),
        (1, 1, "Track <region> <mask>.", "branches.1.messages.1.content", "<mask> cannot stand"),
        (1, 0, "Use <region>.", "branches.1.messages.0.content", "a system turn; expected no"),
        (0, 1, "<box_begin><boxes>", "branches.0.messages.1.content", "'<box_begin>', which is"),
        (0, 0, "What is <tracking>?", "branches.0.messages.0.content", "'<tracking>', which is"),
    ],
)
def test_text_and_labels_must_belong_together(
    write_records: WriteRecords,
    good: Raw,
    branch: int,
    turn: int,
    text: str,
    field: str,
    reason: str,
) -> None:
    error = error_of(write_records(said(good, branch, turn, text)))
    assert error.field == field
    assert reason in error.reason


def test_other_words_in_angle_brackets_are_text(write_records: WriteRecords, good: Raw) -> None:
    path = write_records(said(good, 0, 1, "<b>At</b> <temporal>, at <region>; 1 < 2 <Region>."))
    assert RecordFile(path).read(0).branches[0].messages[1].content.startswith("<b>")


@pytest.mark.parametrize(
    "roles",
    [
        ["user"],
        ["assistant"],
        ["system"],
        ["user", "user", "assistant"],
        ["user", "assistant", "system"],
        ["user", "assistant", "user"],
    ],
)
def test_turns_must_alternate(write_records: WriteRecords, good: Raw, roles: list[str]) -> None:
    messages = [{"role": role, "content": "Hello."} for role in roles]
    record = {**good, "branches": [{"messages": messages}]}
    error = error_of(write_records(record))
    assert error.field == "branches.0.messages"
    assert "user and assistant in turn" in error.reason


def test_chat_without_media(write_records: WriteRecords) -> None:
    turns = ["user", "assistant", "user", "assistant"]
    record = {
        "id": "c",
        "branches": [{"messages": [{"role": role, "content": "Hi."} for role in turns]}],
    }
    assert RecordFile(write_records(record)).parse(0).media_path is None


class DepthTarget(BaseModel):
    task: Literal["depth"] = "depth"
    metres: float


def test_a_task_of_a_plugin(write_records: WriteRecords, good: Raw) -> None:
    record = {
        **good,
        "branches": [
            {
                "messages": [
                    {"role": "user", "content": "How far is it?"},
                    {"role": "assistant", "content": "<depth>"},
                ],
                "targets": [{"task": "depth", "metres": 2.5}],
            }
        ],
    }
    path = write_records(record)
    assert "unknown task 'depth'" in error_of(path).reason
    file = RecordFile(path, targets={"depth": DepthTarget})
    assert file.parse(0).targets == ((DepthTarget(metres=2.5),),)
    reserved = RecordFile(path, targets={"depth": DepthTarget}, reserved={"How far"})
    with pytest.raises(RecordError, match="'How far', which is reserved"):
        reserved.read(0)


@pytest.mark.parametrize("media", ["../clip.mp4", "/etc/passwd", "a/../../clip.mp4", "link.mp4"])
def test_media_may_not_leave_the_folder(
    write_records: WriteRecords, good: Raw, folder: Path, tmp_path_factory: Any, media: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "clip.mp4"
    elsewhere.write_bytes((folder / "clip.mp4").read_bytes())
    (folder / "link.mp4").symlink_to(elsewhere)
    path = write_records(changed(good, "media.path", media))
    error = error_of(path)
    assert error.field == "media.path"
    assert "leaves the folder of the records" in error.reason
    assert RecordFile(path, allow_outside=True).parse(0).media_path == path.parent / media


def test_media_below_a_folder_that_is_itself_a_link(
    write_records: WriteRecords, good: Raw, tmp_path_factory: Any
) -> None:
    path = write_records(good)
    link = tmp_path_factory.mktemp("links") / "data"
    link.symlink_to(path.parent)
    assert RecordFile(link / "data.jsonl").parse(0).media_path == link / "clip.mp4"


def test_media_may_not_be_a_url(write_records: WriteRecords, good: Raw) -> None:
    path = write_records(changed(good, "media.path", "https://host/clip.mp4"))
    for options in ({}, {"allow_outside": True}):
        error = error_of(path, **options)
        assert error.field == "media.path"
        assert "is a URL" in error.reason


def test_reading_records_needs_no_torch(write_records: WriteRecords, good: Raw) -> None:
    code = (
        "import sys; from tpo_core.records.reader import RecordFile; "
        f"RecordFile({str(write_records(good))!r}).read(0); "
        "assert not {'torch', 'transformers', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
