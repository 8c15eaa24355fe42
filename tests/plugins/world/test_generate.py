"""Worlds on disk: the same bytes from the same seed, real media, records that follow the schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tpo_core.errors import InputError
from tpo_plugins.world import draw_sample, generate_world

SIZES = {"train": 6, "val": 2, "test": 4}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_world(tmp_path_factory.mktemp("world"), seed=1, sizes=SIZES).folder


def test_same_seed_same_bytes(world: Path, tmp_path: Path) -> None:
    again = generate_world(tmp_path / "deep" / "again", seed=1, sizes=SIZES)
    assert digests(again.folder) == digests(world)
    other = generate_world(tmp_path / "other", seed=2, sizes=SIZES)
    assert digests(other.folder)["train/train_00001.mp4"] != digests(world)["train/train_00001.mp4"]


def test_a_finished_world_is_left_alone_and_another_replaced(tmp_path: Path) -> None:
    first = generate_world(tmp_path, seed=1, sizes={"train": 3, "test": 2})
    assert first.written
    (tmp_path / "mine.txt").write_text("keep")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    same = generate_world(tmp_path, seed=1, sizes={"test": 2, "train": 3})
    assert not same.written
    assert same.branches == first.branches
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    generate_world(tmp_path, seed=1, sizes={"train": 2})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"train", "train.jsonl", "world.json", "mine.txt"}
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_an_interrupted_world_is_written_anew(world: Path, tmp_path: Path) -> None:
    generate_world(tmp_path, seed=1, sizes=SIZES)
    (tmp_path / "world.json").write_text('{"seed": 1, "si')
    (tmp_path / "train" / "train_00001.mp4").write_bytes(b"half")
    assert generate_world(tmp_path, seed=1, sizes=SIZES).written
    assert digests(tmp_path) == digests(world)


def test_a_larger_world_begins_with_the_smaller(world: Path, tmp_path: Path) -> None:
    larger = generate_world(tmp_path, seed=1, sizes={"train": 8})
    lines = larger.path("train").read_text().splitlines()
    assert lines[:6] == (world / "train.jsonl").read_text().splitlines()


def test_records_follow_the_schema_and_point_to_media(world: Path) -> None:
    for split, size in SIZES.items():
        lines = (world / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == size
        for line in lines:
            record = json.loads(line)
            assert set(record) == {"id", "media", "branches"}
            assert record["media"]["type"] in ("image", "video")
            assert (world / record["media"]["path"]).stat().st_size > 0
            for branch in record["branches"]:
                assert {"messages"} <= set(branch) <= {"messages", "prompts", "targets"}
                assert [m["role"] for m in branch["messages"]] == ["user", "assistant"]
                for target in branch.get("targets", []):
                    if target["task"] == "region":
                        left, top, right, bottom = target["box"]
                        assert 0 <= left < right <= 1
                        assert 0 <= top < bottom <= 1


def test_summary_counts_the_branches(world: Path) -> None:
    summary = generate_world(world, seed=1, sizes=SIZES)
    records = [json.loads(line) for line in summary.path("test").read_text().splitlines()]
    tasks = [
        b["targets"][0]["task"] if "targets" in b else "chat"
        for r in records
        for b in r["branches"]
    ]
    assert summary.branches["test"] == {
        task: tasks.count(task) for task in ("region", "temporal", "mask", "chat")
    }
    assert summary.sizes == SIZES


def test_mp4_decodes_to_nearly_the_drawn_frames(world: Path) -> None:
    for index in (1, 3):
        drawn = draw_sample(seed=1, split="test", index=index).rendering.frames
        with av.open(str(world / f"test/test_{index:05d}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert float(stream.duration * stream.time_base) == len(drawn) / 2
            decoded = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
        assert [time for time, _ in decoded] == [k / 2 for k in range(len(drawn))]
        pixels = np.stack([picture for _, picture in decoded]).transpose(0, 3, 1, 2)
        assert np.abs(pixels.astype(int) - drawn).mean() < 4


def test_png_decodes_to_exactly_the_drawn_frame(world: Path) -> None:
    drawn = draw_sample(seed=1, split="test", index=2).rendering.frames[0]
    picture = np.asarray(Image.open(world / "test/test_00002.png")).transpose(2, 0, 1)
    np.testing.assert_array_equal(picture, drawn)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"training": 3}, "unknown split 'training' in sizes: use any of train, val, test"),
        ({"train": 0}, "size of split 'train' is 0: give at least 1, or leave it out"),
    ],
)
def test_bad_sizes_are_refused(tmp_path: Path, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate_world(tmp_path / "world", sizes=sizes)
    assert not (tmp_path / "world").exists()
