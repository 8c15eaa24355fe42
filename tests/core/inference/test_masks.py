"""The mask head in a whole model: masks from the token and from a box, saved and loaded."""

from __future__ import annotations

import json

import pytest
import torch

from tests.backbones.tiny_families import write
from tests.heads.mask_samples import write_golden_sam2
from tpo_core.build import attach, from_pretrained
from tpo_core.inference import Question, predict_batch
from tpo_core.media.open import open_media


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    sam2 = write_golden_sam2(tmp_path_factory.mktemp("sam2"))
    checkpoint = write("llava_onevision", tmp_path_factory.mktemp("mask"))
    torch.manual_seed(0)
    model = attach(str(checkpoint), {"mask": {"sam2": sam2}, "region": {}}, device="cpu").eval()
    model.num_frames = 4
    return model


def test_masks_have_the_size_of_the_video_and_the_frames_looked_at(tracker, videos, tmp_path):
    box = (0.2, 0.2, 0.7, 0.7)
    asked = [
        Question(videos[0], "Track the circle", task="mask"),
        Question(videos[0], "Track <region>", box=box, task="mask"),
    ]
    by_token, by_box = predict_batch(tracker, asked, max_new_tokens=3)
    for answer in (by_token, by_box):
        track = answer.masks[0]
        assert track.masks.shape == (4, 56, 56)
        assert track.masks.dtype == torch.bool
        assert track.indices == answer.media.indices
        json.dumps(answer.to_json())
    assert by_box.masks[0].masks.any()
    written = by_box.save_overlay(tmp_path / "overlay")
    assert written.suffix == ".mp4"
    assert len(open_media(written, num_frames=None).indices) == 4


def test_a_saved_mask_head_tracks_the_same(tracker, videos, tmp_path):
    tracker.save_pretrained(str(tmp_path / "model"))
    loaded = from_pretrained(str(tmp_path / "model"), device="cpu")
    ours, theirs = (
        m.predict(videos[0], "Track it", task="mask", max_new_tokens=2) for m in (tracker, loaded)
    )
    assert torch.equal(ours.masks[0].masks, theirs.masks[0].masks)
    assert ours.masks[0].scores == theirs.masks[0].scores


def test_a_picture_is_segmented(tracker):
    picture = torch.randint(0, 256, (40, 60, 3), dtype=torch.uint8)
    answer = tracker.predict(picture, "Segment it", task="mask", max_new_tokens=2)
    assert answer.masks[0].masks.shape == (1, 40, 60)
