"""A `<mask>` whose label is a box a frame, as tracking datasets have it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tpo_core.drawing.frames import draw_frames, label_marks
from tpo_core.errors import RecordError
from tpo_core.records.dataset import load_sample
from tpo_core.records.reader import RecordFile
from tpo_core.records.schema import MaskTarget
from tpo_core.results import Box, BoxTrack

Raw = dict[str, Any]
WriteRecords = Callable[..., Path]
BOX = [0.25, 0.25, 0.75, 0.75]


@pytest.fixture
def tracked(good: Raw) -> Raw:
    """The object has a box on frames 1 and 5 and is not visible on frame 3."""
    record = copy.deepcopy(good)
    record["branches"][1]["targets"] = [{"task": "mask", "boxes": {"1": BOX, "3": None, "5": BOX}}]
    return record


def test_boxes_are_read_by_frame(write_records: WriteRecords, tracked: Raw) -> None:
    parsed = RecordFile(write_records(tracked)).parse(0)
    target = parsed.targets[1][0]
    assert isinstance(target, MaskTarget)
    assert target.boxes == {1: tuple(BOX), 3: None, 5: tuple(BOX)}
    assert target.frames == {}
    assert MaskTarget.model_validate_json(target.model_dump_json()) == target


def test_annotated_frames_are_preferred(write_records: WriteRecords, tracked: Raw) -> None:
    tracked["branches"][1]["prompts"][0]["frame"] = 1
    sample = load_sample(RecordFile(write_records(tracked)).parse(0), num_frames=4)
    assert sample.media is not None
    assert sample.media.indices == (1, 3, 5, 7)


@pytest.mark.parametrize(
    ("target", "field", "reason"),
    [
        ({}, "", "no frame has a mask or a box; expected at least one"),
        ({"boxes": {"0": None}}, "", "no frame has a mask or a box"),
        ({"boxes": {"0": [4, 8, 15, 16]}}, ".boxes.0", "leaves [0, 1]; expected xyxy normalised"),
        ({"boxes": {"-1": BOX}}, ".boxes.-1.[key]", "greater than or equal to 0"),
    ],
)
def test_labels_that_say_nothing_or_nonsense(
    write_records: WriteRecords, tracked: Raw, target: Raw, field: str, reason: str
) -> None:
    tracked["branches"][1]["targets"] = [{"task": "mask", **target}]
    with pytest.raises(RecordError) as caught:
        RecordFile(write_records(tracked)).parse(0)
    assert reason in caught.value.reason
    assert caught.value.field == f"branches.1.targets.0{field}"


def test_a_box_beyond_the_last_frame_is_named(write_records: WriteRecords, tracked: Raw) -> None:
    tracked["branches"][1]["targets"][0]["boxes"]["8"] = BOX
    with pytest.raises(RecordError, match="frame 8 does not exist; the media has frames 0 to 7"):
        load_sample(RecordFile(write_records(tracked)).parse(0), num_frames=4)


def test_boxes_are_drawn_on_their_frames_alone(write_records: WriteRecords, tracked: Raw) -> None:
    sample = load_sample(RecordFile(write_records(tracked)).parse(0), num_frames=8)
    assert sample.media is not None
    marks = label_marks(sample.targets[1])
    assert marks == [("mask", BoxTrack({1: Box(*BOX), 5: Box(*BOX)}))]
    drawn, plain = draw_frames(sample.media, marks), draw_frames(sample.media, [])
    changed = [not torch.equal(one, other) for one, other in zip(drawn, plain, strict=True)]
    assert [index for index, marked in enumerate(changed) if marked] == [1, 5]
    assert marks[0][1].to_json() == {"boxes": {"1": BOX, "5": BOX}}
    assert str(marks[0][1]) == "boxes on 2 frames"
