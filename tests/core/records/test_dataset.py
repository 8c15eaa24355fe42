from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from tpo_core.errors import InputError, RecordError
from tpo_core.media.open import open_media
from tpo_core.records.dataset import BadSample, RecordDataset, Sample
from tpo_core.records.fit import fit_to_media
from tpo_core.records.mixture import mixture_indices
from tpo_core.records.quarantine import Quarantine
from tpo_core.records.reader import RecordFile
from tpo_core.records.rle import decode
from tpo_core.records.schema import RegionTarget, Saliency, TemporalTarget

Raw = dict[str, Any]
WriteRecords = Callable[..., Path]


def dataset(path: Path, **options: Any) -> RecordDataset:
    return RecordDataset([RecordFile(path)], num_frames=4, **options)


def bad_of(path: Path, index: int = 0) -> BadSample:
    sample = dataset(path)[index]
    assert isinstance(sample, BadSample)
    assert (sample.path, sample.line) == (str(path), index + 1)
    return sample


def test_a_good_sample(write_records: WriteRecords, good: Raw) -> None:
    sample = dataset(write_records(good))[0]
    assert isinstance(sample, Sample)
    assert sample.media is not None
    # Frames 0 and 5 have masks and are preferred; frame 3 holds the prompt's box and is required.
    assert sample.media.indices == (0, 3, 5, 7)
    assert sample.media.times.tolist() == [0.0, 0.75, 1.25, 1.75]
    assert sample.media.duration == 2.0
    assert sample.targets[0][1] == RegionTarget(box=(0.1, 0.2, 0.4, 0.6))
    assert sample.notes == ()
    again = dataset(write_records(good))[0]
    assert isinstance(again, Sample)
    assert again.media is not None
    assert torch.equal(sample.media.frames, again.media.frames)  # type: ignore[arg-type]


def test_samples_come_out_of_worker_processes(write_records: WriteRecords, good: Raw) -> None:
    path = write_records(good, b"", good)
    loader = DataLoader(dataset(path), batch_size=3, num_workers=1, collate_fn=list)
    (batch,) = list(loader)
    assert [type(sample) for sample in batch] == [Sample, BadSample, Sample]
    assert batch[0].media.frames.shape == (4, 3, 32, 48)
    assert batch[1].line == 2


def test_missing_corrupt_and_empty_media(
    write_records: WriteRecords, good: Raw, folder: Path
) -> None:
    (folder / "corrupt.mp4").write_bytes(b"no video" * 50)
    (folder / "empty.png").touch()
    records = [copy.deepcopy(good) for _ in range(3)]
    records[0]["media"]["path"] = "absent.mp4"
    records[1]["media"]["path"] = "corrupt.mp4"
    records[2]["media"] = {"type": "image", "path": "empty.png"}
    path = write_records(*records)
    for index, reason in enumerate(
        ["absent.mp4 does not exist", "corrupt.mp4 is no video", "empty.png is no picture"]
    ):
        sample = bad_of(path, index)
        assert reason in sample.reason
        assert sample.field == "media.path"
        assert str(sample).startswith(f"{path}:{index + 1}: media.path: ")


def test_spans_past_the_end(write_records: WriteRecords, good: Raw) -> None:
    def spans(*values: list[float]) -> Raw:
        record = copy.deepcopy(good)
        record["branches"][0]["targets"][0]["spans"] = list(values)
        return record

    path = write_records(
        spans([0.5, 3.9]), spans([0.5, 4.5]), spans([2.5, 3.0]), spans([0.0, 2.0005])
    )
    data = dataset(path)
    clipped, exact = data[0], data[3]
    assert isinstance(clipped, Sample)
    assert isinstance(exact, Sample)
    assert clipped.targets[0][0] == TemporalTarget(spans=[(0.5, 2.0)])
    assert clipped.clipped == 1
    assert clipped.notes == (
        "branches.0.targets.0: span [0.5, 3.9] clipped to the video's end at 2.00 s",
    )
    assert exact.targets[0][0] == TemporalTarget(spans=[(0.0, 2.0)])
    assert exact.clipped == 0
    for index in (1, 2):
        sample = bad_of(path, index)
        assert "past the end of the video at 2.00 s" in sample.reason
        assert sample.field == "branches.0.targets.0.spans.0"


def test_saliency_past_the_end(folder: Path) -> None:
    media = open_media(folder / "clip.mp4", num_frames=4)

    def target(last: float) -> TemporalTarget:
        saliency = Saliency(times=[0.0, last], scores=[0.0, 1.0])
        return TemporalTarget(spans=[(0.0, 1.0)], saliency=saliency)

    (fitted,), notes = fit_to_media([target(3.0)], media)
    assert isinstance(fitted, TemporalTarget)
    assert fitted.saliency == Saliency(times=[0.0, 2.0], scores=[0.0, 1.0])
    assert notes == ("0: saliency times clipped to the video's end at 2.00 s",)
    with pytest.raises(RecordError, match="saliency at 5 s is past the end"):
        fit_to_media([target(5.0)], media)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"frames": {"8": [32, 48]}}, "branches.1.targets.0.frames.8", "media has frames 0 to 7"),
        ({"frames": {"0": [48, 32]}}, "branches.1.targets.0.frames.0.size", "48 x 32 (height x"),
        ({"prompt": 8}, "branches.1.prompts.0.frame", "frame 8 does not exist"),
        ({"media": {"type": "image", "path": "picture.png"}}, "branches.0.targets.0", "no moments"),
    ],
)
def test_labels_of_other_media(
    write_records: WriteRecords, good: Raw, change: Raw, field: str, reason: str
) -> None:
    record = copy.deepcopy(good)
    branch = record["branches"][1]
    if "frames" in change:
        ((index, size),) = change["frames"].items()
        rle = {"size": size, "counts": [size[0] * size[1]]}
        branch["targets"][0]["frames"] = {index: rle}
    if "prompt" in change:
        branch["prompts"][0]["frame"] = change["prompt"]
    if "media" in change:
        record["media"] = change["media"]
    sample = bad_of(write_records(record))
    assert sample.field == field
    assert reason in sample.reason


def test_masks_reach_the_target_whole(write_records: WriteRecords, good: Raw) -> None:
    sample = dataset(write_records(good))[0]
    assert isinstance(sample, Sample)
    mask = decode(sample.targets[1][0].frames[5])  # type: ignore[attr-defined]
    assert mask.sum() == 8 * 16
    assert mask[8:16, 8:24].all()


def test_order_mixes_files(write_records: WriteRecords, good: Raw) -> None:
    first = write_records({**good, "id": "a0"}, {**good, "id": "a1"})
    second = write_records({**good, "id": "b0"}, name="other.jsonl")
    files = [RecordFile(first), RecordFile(second)]

    def ids(data: RecordDataset) -> list[str]:
        samples = [data[index] for index in range(len(data))]
        return [sample.record.id for sample in samples if isinstance(sample, Sample)]

    assert ids(RecordDataset(files, num_frames=1)) == ["a0", "a1", "b0"]
    order = [(1, 0), (0, 1), (1, 0)]
    assert ids(RecordDataset(files, num_frames=1, order=order)) == ["b0", "a1", "b0"]
    with pytest.raises(InputError, match="no record file was given"):
        RecordDataset([], num_frames=1)


def test_mixture_has_exact_shares_and_no_repeats_within_a_pass() -> None:
    drawn = mixture_indices([10, 100, 7], [0.5, 0.25, 0.25], 80, seed=3)
    by_set: dict[int, list[int]] = {}
    for number, index in drawn:
        by_set.setdefault(number, []).append(index)
    assert {number: len(indices) for number, indices in by_set.items()} == {0: 40, 1: 20, 2: 20}
    passes = [by_set[0][start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1  # reshuffled
    assert len(set(by_set[1])) == 20
    # Datasets are interleaved, not one after the other.
    assert len({number for number, _ in drawn[:20]}) == 3


def test_mixture_depends_on_its_seed_alone() -> None:
    draw = mixture_indices([10, 20], [1, 2], 60, seed=1)
    assert draw == mixture_indices([10, 20], [1, 2], 60, seed=1)
    assert draw != mixture_indices([10, 20], [1, 2], 60, seed=2)
    one_pass = mixture_indices([4, 6], None, 10, seed=0)
    assert sorted(one_pass) == [(0, i) for i in range(4)] + [(1, i) for i in range(6)]
    counts = Counter(number for number, _ in mixture_indices([5, 5, 5], None, 8, seed=0))
    assert sorted(counts.values()) == [2, 3, 3]


@pytest.mark.parametrize(
    ("sizes", "weights", "message"),
    [
        ([3], [1, 1], "2 weights for 1 datasets"),
        ([3, 3], [0, 0], "not all of them 0"),
        ([3, 3], [1, -1], "expected numbers >= 0"),
        ([3, 3], [1, float("nan")], "expected numbers >= 0"),
        ([3, 0], [1, 1], "dataset 1 has weight 1 but no samples"),
    ],
)
def test_mixtures_that_cannot_be_drawn(sizes: Any, weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mixture_indices(sizes, weights, 5, seed=0)


def bad(line: int, reason: str = "the line is empty") -> BadSample:
    return BadSample(path="data.jsonl", line=line, reason=reason)


def test_quarantine_stops_above_its_limit() -> None:
    quarantine = Quarantine(limit=0.1, minimum=10)
    quarantine.good(8)
    quarantine.add(bad(9))  # 1 of 9: over the limit, but too few seen to judge
    quarantine.good(10)  # 1 of 19
    quarantine.add(bad(20))  # 2 of 20: exactly the limit
    with pytest.raises(
        InputError,
        match=r"3 of 21 records \(14\.3%\) .* 10\.0% allowed, .*data\.jsonl:21: the line",
    ):
        quarantine.add(bad(21))


def test_quarantine_judges_short_runs_at_their_end() -> None:
    quarantine = Quarantine(limit=0.1)
    quarantine.good(3)
    quarantine.add(bad(4))
    quarantine.check()
    with pytest.raises(InputError, match="1 of 4 records"):
        quarantine.check(final=True)
    Quarantine().check(final=True)


def test_quarantine_reports_each_record_once(tmp_path: Path) -> None:
    quarantine = Quarantine(limit=1.0)
    quarantine.good(5, clipped=2)
    for line in (3, 7, 3):  # line 3 is met again in the next epoch
        quarantine.add(bad(line))
    quarantine.add(bad(8, "the line is not JSON"))
    quarantine = pickle.loads(pickle.dumps(quarantine))
    assert (quarantine.seen, quarantine.bad) == (9, 4)
    assert quarantine.reasons() == {"the line is empty": 2, "the line is not JSON": 1}
    assert quarantine.report(most=1).splitlines() == [
        "9 records seen, 4 bad, 2 labels clipped",
        "data.jsonl:3: the line is empty",
        "and 2 more",
    ]
    quarantine.write(tmp_path / "bad.jsonl")
    written = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert written[0] == {
        "path": "data.jsonl",
        "line": 3,
        "reason": "the line is empty",
        "field": "",
    }
    assert [row["line"] for row in written] == [3, 7, 8]
    with pytest.raises(InputError, match="cannot write"):
        quarantine.write(tmp_path / "absent" / "bad.jsonl")


def test_quarantine_limit_is_a_share() -> None:
    with pytest.raises(InputError, match="limit is 5; expected a share"):
        Quarantine(limit=5)
