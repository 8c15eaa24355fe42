"""Rendering with a tiny processor: sharing, refusals, frames and their times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.backbones.tiny_families import build
from tpo_core.errors import InputError
from tpo_core.records.schema import Message
from tpo_core.testing.backbone_samples import conversations, sample_media


@pytest.fixture(scope="module")
def onevision(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build("llava_onevision", tmp_path_factory.mktemp("onevision"))


def user(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def test_media_is_processed_once_for_all_branches(
    onevision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    processor = type(onevision.processor.video_processor)
    original = processor.__call__
    monkeypatch.setattr(
        processor, "__call__", lambda self, *a, **k: seen.append(1) or original(self, *a, **k)
    )
    onevision.renderer.render(sample_media("video"), conversations() * 4)
    assert len(seen) == 1


def test_system_turns_are_shared_or_refused(onevision: Any) -> None:
    system = Message(role="system", content="Be brief.")
    shared = [[system, *chat] for chat in conversations()]
    record = onevision.renderer.render(sample_media("image"), shared)
    assert "Be brief." in onevision.renderer.decode(record.prefix_ids.tolist())
    with pytest.raises(InputError, match="different system turns"):
        onevision.renderer.render(sample_media("image"), [shared[0], conversations()[1]])


@pytest.mark.parametrize("text", ["<image>", "see <video> here", "<|im_end|>"])
def test_placeholders_in_text_are_refused(onevision: Any, text: str) -> None:
    for chat in (user(text), [*user("a"), Message(role="assistant", content=text)]):
        with pytest.raises(InputError, match="special token of the backbone"):
            onevision.renderer.render(None, [chat])


def test_media_without_frames_is_refused(onevision: Any) -> None:
    media = sample_media("video")
    assert media is not None
    with pytest.raises(InputError, match="no frames"):
        onevision.renderer.render(media.without_frames(), [user("a")])


def test_video_on_an_image_backbone_is_several_images(tmp_path: Path) -> None:
    adapter = build("llava", tmp_path)
    record = adapter.renderer.render(sample_media("video", frames=3), conversations())
    assert record.inputs["pixel_values"].shape[0] == 3


def test_video_on_a_one_image_backbone_is_refused(tmp_path: Path) -> None:
    adapter = build("paligemma", tmp_path)
    with pytest.raises(InputError, match="takes one image and no video"):
        adapter.renderer.render(sample_media("video"), conversations(several=False))


@pytest.mark.parametrize("times", [[0.0, 0.5, 1.0, 1.5], [0.0, 0.1, 1.3, 7.04]])
def test_times_in_the_prompt_are_those_of_the_frames(tmp_path: Path, times: list[float]) -> None:
    """Also at a variable frame rate; Qwen3-VL writes the mean of each pair."""
    media = sample_media("video")
    assert media is not None
    moved = replace(media, times=torch.tensor(times, dtype=torch.float64), duration=times[-1] + 0.5)
    adapter = build("qwen3_vl", tmp_path)
    record = adapter.renderer.render(moved, [user("a")])
    text = adapter.processor.tokenizer.decode(record.prefix_ids)
    for first, second in (times[:2], times[2:]):
        assert f"<{(first + second) / 2:.1f} seconds>" in text


def test_rate_in_the_positions_is_that_of_the_frames(tmp_path: Path) -> None:
    """Qwen2.5-VL places pairs of frames by seconds per pair."""
    adapter = build("qwen2_5_vl", tmp_path)
    record = adapter.renderer.render(sample_media("video"), [user("a")])
    assert float(record.inputs["second_per_grid_ts"][0]) == pytest.approx(1.0)


def test_group_times_are_centres_of_what_is_shown(onevision: Any, tmp_path: Path) -> None:
    media = sample_media("video")  # frames at 0, 0.5, 1, 1.5 s; each shown for 0.1 s
    for adapter, expected in (
        (onevision, [0.05, 0.55, 1.05, 1.55]),
        (build("qwen2_5_vl", tmp_path), [0.3, 1.3]),
    ):
        record = adapter.renderer.render(media, [user("a")])
        features = adapter.frame_features(record, adapter.encode([record])[0])
        assert features.times.tolist() == pytest.approx(expected)
        assert features.duration == 2.0


def test_text_has_no_frame_features(onevision: Any) -> None:
    record = onevision.renderer.render(None, [user("a")])
    with pytest.raises(InputError, match="text-only"):
        onevision.frame_features(record, None)
