"""VideoChat-TPO looks at the published model's frames: when asked, trained and evaluated."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.backbones.tiny import videochat as tiny
from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_backbones.videochat.frames import choose_middle_frames
from tpo_backbones.videochat.preprocess import pixel_values
from tpo_core.batch import Batch
from tpo_core.build import attach
from tpo_core.evaluation import Benchmark, Case, Item, Score, evaluate
from tpo_core.inference import Answer, Question
from tpo_core.media.open import open_media
from tpo_core.media.sampling import choose_frames
from tpo_core.media.types import Media
from tpo_core.media.write import write_video
from tpo_core.model import TpoModel
from tpo_core.training.data import StageData
from tpo_core.training.recipe import parse_recipe

GOLDEN = Path(__file__).parents[1] / "golden" / "tpo" / "7_frame_sampling.json"
CASES = [
    (case["vlen"], case["num_frames"], case["indices"])
    for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
    if case["sample"] == "middle"
]
HUNDRED = next(indices for total, count, indices in CASES if (total, count) == (100, 16))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TpoModel:
    folder = tmp_path_factory.mktemp("videochat")
    tiny.build(folder)
    return attach(VideoChatAdapter.load(str(folder)), ["region", "temporal"], lora=None)


@pytest.fixture
def clip(tmp_path: Path) -> Any:
    """Return a function that writes a video of so many frames of noise."""

    def write(total: int) -> Path:
        generator = torch.Generator().manual_seed(total)
        frames = torch.randint(256, (total, 3, 4, 4), dtype=torch.uint8, generator=generator)
        path = tmp_path / f"{total}.mp4"
        write_video(path, frames.repeat_interleave(8, -1).repeat_interleave(8, -2), fps=10)
        return path

    return write


@pytest.fixture
def encoded(model: TpoModel, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Frames that reach the vision encoder, `[T, 3, S, S]`, one entry a video."""
    real, seen = model.backbone.encode, []

    def spy(records: Any) -> Any:
        seen.extend(record.inputs["pixel_values"][0] for record in records)
        return real(records)

    monkeypatch.setattr(model.backbone, "encode", spy)
    return seen


def look_at(model: TpoModel, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set how many frames of a video the model takes."""
    renderer = model.backbone.renderer
    assert hasattr(renderer, "config")
    monkeypatch.setattr(renderer, "config", replace(renderer.config, num_frames=count))
    monkeypatch.setattr(model, "num_frames", count)


def pixels(path: Path, indices: list[int]) -> torch.Tensor:
    """Preprocess frames picked by number out of all."""
    frames = open_media(path, num_frames=None).frames
    assert frames is not None
    return pixel_values(frames[indices], size=32)


@pytest.mark.parametrize(("total", "count", "indices"), CASES)
def test_predict_looks_at_the_golden_frames(
    model: TpoModel,
    clip: Any,
    encoded: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    count: int,
    indices: list[int],
) -> None:
    look_at(model, count, monkeypatch)
    path = clip(total)
    answer = model.predict(path, "What is it?", max_new_tokens=1)
    assert answer.media is not None
    assert answer.media.indices == tuple(sorted(set(indices)))
    assert len(encoded) == 1
    assert torch.equal(encoded[0], pixels(path, indices))


def test_several_questions_training_and_evaluation_look_at_the_same(
    model: TpoModel,
    clip: Any,
    encoded: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    look_at(model, 16, monkeypatch)
    path = clip(100)
    questions = [Question(path, text) for text in ("What is it?", "Why?")]
    answers = model.predict_batch(questions, max_new_tokens=1)
    batch = trained_on(model, path)
    result = evaluate(Ask(path), model, data=tmp_path, progress=False)
    assert result.metrics["asked"] == 1.0
    for media in (answers[0].media, answers[1].media, batch.media[0]):
        assert media is not None
        assert media.indices == tuple(HUNDRED)
    frames = [*encoded, batch.packed.records[0].inputs["pixel_values"][0]]
    assert len(frames) == 3
    assert all(torch.equal(found, pixels(path, HUNDRED)) for found in frames)


def trained_on(model: TpoModel, path: Path) -> Batch:
    """Return the batch of a stage whose one record is about a video."""
    talk = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "Now."}]
    media = {"type": "video", "path": path.name}
    record = {"id": "a", "media": media, "branches": [{"messages": talk}]}
    (path.parent / "data.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    source = {"path": str(path.parent / "data.jsonl")}
    stage = {"name": "only", "train": {"lora": 1e-4}, "data": [source], "steps": 1}
    recipe = parse_recipe({"name": "r", "backbone": "b", "heads": {}, "stages": [stage]})
    data = pickle.loads(pickle.dumps(StageData(recipe, 0, model)))  # as for a loader's process
    return model.collator()([data[0]])


class Ask(Benchmark):
    """Opens a video as the model under test looks at it, and asks one question."""

    name, metrics = "ask", ("asked",)
    protocol: Mapping[str, Any] = {}
    decoding: Mapping[str, Any] = {"max_new_tokens": 1}

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self, data: Path) -> int:
        return 1

    def cases(self, data: Path) -> Iterator[Case]:
        yield Case(
            media=str(self.path),
            load=lambda choose: open_media(self.path, num_frames=16, choose=choose),
            items=(Item(id="a", kind="chat", text="What is it?"),),
        )

    def read(self, item: Item, answer: Answer, media: Media) -> Mapping[str, Any]:
        return {"frames": list(media.indices)}

    def score(self, item: Item, predicted: Mapping[str, Any] | None) -> Score:
        return Score(values={"asked": (float(predicted == {"frames": HUNDRED}),)})


def test_an_overlay_shows_the_frames_that_were_looked_at(
    model: TpoModel, clip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    look_at(model, 16, monkeypatch)
    answer = model.predict(clip(100), "When?", task="temporal", max_new_tokens=2)
    drawn = open_media(answer.save_overlay(tmp_path / "o.mp4"), num_frames=None)
    assert drawn.total_frames == 16
    assert answer._looked_at([0.0] * 30) == tuple(index for index in HUNDRED if index < 30)


def test_favourites_take_the_place_of_their_intervals_choice() -> None:
    def choose(**favourites: set[int]) -> tuple[int, ...]:
        return choose_middle_frames([0.0] * 10, duration=9.0, num_frames=3, **favourites)

    # Intervals of three, three and four frames.
    assert choose() == (1, 4, 7)
    assert choose(preferred={0, 1, 5}) == (1, 5, 7)
    assert choose(preferred={5}, required={3, 9, 99}) == (1, 3, 9)


def test_other_backbones_go_by_time() -> None:
    from tpo_backbones.generic.adapter import TransformersAdapter

    assert TransformersAdapter.choose_frames is choose_frames
