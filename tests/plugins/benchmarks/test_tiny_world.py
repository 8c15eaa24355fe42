"""The tiny world's benchmark, on real files of the world, with models that know the truth."""

from __future__ import annotations

import json
import random
import re

import pytest
import torch

import tpo_core as tpo
from tests.plugins.oracle import Oracle
from tpo_core.errors import InputError
from tpo_core.evaluation import evaluate, score_predictions
from tpo_core.records.rle import decode
from tpo_core.records.schema import MaskTarget
from tpo_core.results import Box, MaskTrack, Moments, Span
from tpo_plugins.benchmarks.scoring import score_mask
from tpo_plugins.benchmarks.tiny_world import METRICS, TinyWorld
from tpo_plugins.world import generate_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    generate_world(folder, seed=5, sizes={"test": 6})
    return folder


def run(world, **spoiling):
    return evaluate("tiny_world", Oracle(world, **spoiling), data=world, progress=False)


def test_the_registered_benchmark_announces_its_figures():
    spec = next(spec for spec in tpo.list_benchmarks() if spec.name == "tiny_world")
    assert spec.metrics == METRICS == TinyWorld().metrics


def test_the_truth_scores_1_everywhere(world):
    result = run(world)
    assert result.metrics == dict.fromkeys(METRICS, 1.0)
    assert result.counts["questions"] == result.counts["answered"] > 20
    assert result.notes == ()
    assert result.protocol["split"] == "test"


def test_what_is_missing_scores_0_and_is_counted(world):
    result = run(world, spoil=lambda results: [], chat=lambda text: "")
    assert result.metrics == dict.fromkeys(METRICS, 0.0)
    assert result.counts["missing"] == result.counts["questions"]


def test_half_a_box_and_half_a_span_pass_no_more_than_half(world):
    def halve(results):
        halved = []
        for task, result in results:
            if isinstance(result, Box):
                width = (result.x2 - result.x1) * 0.4
                result = Box(result.x1, result.y1, result.x1 + width, result.y2)
            elif isinstance(result, Moments):
                first = result.spans[0]
                end = first.start + 0.6 * (first.end - first.start)
                result = Moments(spans=(Span(first.start, end),))
            halved.append((task, result))
        return halved

    result = run(world, spoil=halve)
    assert result.metrics["region_acc@0.5"] == 0
    assert result.details["all"]["region_iou"]["mean"] == pytest.approx(0.4, abs=1e-6)
    assert (result.metrics["temporal_r1@0.5"], result.metrics["temporal_r1@0.7"]) == (1, 0)


def test_only_the_first_span_counts(world):
    def swap(results):
        return [
            (task, Moments(spans=(Span(90.0, 91.0), *result.spans)))
            if isinstance(result, Moments)
            else (task, result)
            for task, result in results
        ]

    assert run(world, spoil=swap).metrics["temporal_r1@0.5"] == 0


def test_frames_without_a_predicted_mask_count_as_empty(world):
    def first_half(results):
        return [
            (
                task,
                MaskTrack(
                    masks=result.masks[: len(result.masks) // 2],
                    indices=result.indices[: len(result.masks) // 2],
                    times=result.times[: len(result.masks) // 2],
                ),
            )
            if isinstance(result, MaskTrack)
            else (task, result)
            for task, result in results
        ]

    result = run(world, spoil=first_half)
    expected = []
    oracle = Oracle(world)
    for _, targets in oracle.known.values():
        for target in targets:
            if target.task == "mask":
                masks = torch.stack([decode(rle) for rle in target.frames.values()])
                right = torch.arange(len(masks)) < len(masks) // 2
                expected.append(float((right | ~masks.flatten(1).any(1)).float().mean()))
    assert result.metrics["mask_j&f"] == pytest.approx(sum(expected) / len(expected), abs=1e-5)
    kinds = {kind for kind in result.details if kind.startswith("mask/")}
    assert kinds == {"mask/segment", "mask/track"}


def test_results_are_matched_in_order_within_their_task(world):
    result = run(world, spoil=lambda results: [*results, ("region", Box(0, 0, 1, 1))])
    assert result.metrics["region_acc@0.5"] == 1


def test_a_folder_without_the_split_is_refused(tmp_path, world):
    with pytest.raises(InputError, match=r"holds no test\.jsonl; give a folder that"):
        evaluate("tiny_world", Oracle(world), data=tmp_path, progress=False)


def test_missing_media_fail_their_questions_and_a_torn_record_is_quarantined(tmp_path, world):
    lines = (world / "test.jsonl").read_text().splitlines()
    (tmp_path / "test").mkdir()
    name = "test/test_00000.png"
    (tmp_path / name).write_bytes((world / name).read_bytes())
    (tmp_path / "test.jsonl").write_text("\n".join([*lines[:2], lines[2][:50]]) + "\n")
    result = evaluate("tiny_world", Knowing(world, tmp_path), data=tmp_path, progress=False)
    assert (result.counts["media"], result.counts["quarantined"]) == (3, 1)
    assert result.counts["failed"] > 0
    assert result.counts["failed"] + result.counts["answered"] == result.counts["questions"]
    torn, failed = result.notes
    assert "test.jsonl:3" in torn
    assert "test_00001.mp4 does not exist" in failed


class Knowing(Oracle):
    """Knows the labels of one folder, and is asked about copies in another."""

    def __init__(self, folder, copies):
        super().__init__(folder)
        self.known = {
            (media.replace(str(folder), str(copies)), *rest): value
            for (media, *rest), value in self.known.items()
        }


def test_a_track_of_boxes_alone_is_quarantined(tmp_path, world):
    record = json.loads((world / "test.jsonl").read_text().splitlines()[1])
    target = {"task": "mask", "boxes": {"0": [0.1, 0.1, 0.5, 0.5]}}
    turns = [{"role": "user", "content": "Segment it."}, {"role": "assistant", "content": "<mask>"}]
    record["branches"] = [{"messages": turns, "targets": [target]}]
    (tmp_path / "test.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(InputError, match="a track has boxes and no mask; expected a mask"):
        evaluate("tiny_world", Oracle(world), data=tmp_path, progress=False)
    with pytest.raises(InputError, match="boxes on 1 frames and no mask"):
        score_mask(MaskTarget.model_validate(target), None)


def test_the_figures_are_the_same_from_a_file(tmp_path, world):
    chance = random.Random(0)

    def some(results):
        return [one for one in results if chance.random() < 0.7]

    model = Oracle(world, spoil=some)
    asked = evaluate("tiny_world", model, data=world, progress=False, output=tmp_path / "run")
    own = tmp_path / "run" / "predictions.jsonl"
    rows = [json.loads(line) for line in own.read_text().splitlines()]
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps([{"id": row["id"], **row["predicted"]} for row in rows]))
    for path in (own, theirs):
        found = score_predictions("tiny_world", path, data=world, progress=False)
        assert found.metrics == asked.metrics
        assert 0 < found.metrics["mask_j&f"] < 1
        assert found.details == asked.details


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"box": [0, 0, 1, 1]}, "expected a list of results"),
        ([{"box": [0, 0, 1, 1]}], "expected its task"),
        ([{"task": "region", "box": [0, 0, 1]}], "has box [0, 0, 1]; expected four finite"),
        ([{"task": "temporal", "spans": [[0, 1]]}], "expected start and end of each"),
        ([{"task": "mask", "frames": {"0": "abc"}}], "expected a COCO RLE"),
        ([{"task": "mask", "frames": {"0": {"size": [1, 1], "counts": "1"}}}], "the picture has"),
    ],
)
def test_rows_with_results_of_another_shape_are_refused(tmp_path, world, results, message):
    cases = TinyWorld().cases(world)
    item = next(item for case in cases for item in case.items if item.kind.startswith("mask/"))
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"id": item.id, "text": "", "results": results}))
    with pytest.raises(InputError, match=re.escape(message)):
        score_predictions("tiny_world", path, data=world, progress=False)
