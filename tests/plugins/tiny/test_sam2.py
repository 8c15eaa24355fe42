"""The embedded SAM2: what ships, how well it tracks, and that its pretraining runs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import torch

from tpo_core.head import HeadContext
from tpo_core.media.types import Media
from tpo_core.records.rle import encode
from tpo_core.records.schema import MaskTarget, RegionPrompt
from tpo_heads.mask import MaskHead
from tpo_heads.mask.sam2_source import load_sam2
from tpo_plugins.tiny.pretrain_sam2 import Stage, pretrain
from tpo_plugins.tiny.sam2_clips import clip_batches
from tpo_plugins.tiny.sam2_measure import measure_tracking
from tpo_plugins.tiny.sam2_objective import clip_loss, unroll
from tpo_plugins.world import draw_sample

SOURCE = "package:tpo_plugins/tiny/sam2"
FOLDER = Path(str(resources.files("tpo_plugins"))) / "tiny" / "sam2"


def test_ships_small_and_described() -> None:
    metrics = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    weights = (FOLDER / "model.safetensors").stat().st_size
    assert weights == metrics["bytes"] < 4_000_000
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"--seed {metrics['seed']}" in card
    for split in ("val", "test"):
        assert f"{metrics[split]['j&f']:.3f}" in card


def test_tracks_held_out_objects() -> None:
    """Boxes on frame 0 of a few test videos; the shipped figure is over more of them."""
    figures = measure_tracking(load_sam2(SOURCE), seed=0, split="test", videos=6)
    assert figures["objects"] >= 6
    assert figures["j&f"] >= 0.75
    assert figures["presence"] >= 0.85


def test_head_tracks_a_users_box() -> None:
    """A record's prompt in, masks out, through the head's own door."""
    sample = next(
        sample
        for index in range(1, 40, 2)
        for sample in [draw_sample(seed=0, split="test", index=index)]
        if any(branch.kind == "track" for branch in sample.branches)
    )
    branch = next(branch for branch in sample.branches if branch.kind == "track")
    (place,) = branch.about
    frames = torch.from_numpy(sample.rendering.frames)
    count, size = len(frames), (frames.shape[-2], frames.shape[-1])
    media = Media(
        kind="video",
        frames=frames,
        times=torch.arange(count, dtype=torch.float64) / 2,
        indices=tuple(range(count)),
        size=size,
        duration=count / 2,
        total_frames=count,
    )
    prompt = RegionPrompt.model_validate(branch.prompts[0])
    context = HeadContext(media=(media,), media_index=torch.tensor([0]), prompts=((prompt,),))
    head = MaskHead(16, sam2=SOURCE)
    (track,) = head.decode(head(torch.zeros(1, 16), context), context)
    truth = torch.from_numpy(sample.rendering.mask(place))
    overlap = (track.masks[0] & truth[0]).sum() / (track.masks[0] | truth[0]).sum()
    assert overlap > 0.7


def test_a_state_learns_to_prompt_it() -> None:
    """From random states to the right objects of one picture by the head's losses alone."""
    torch.manual_seed(0)
    sample = draw_sample(seed=0, split="test", index=0, media="image")
    frames = torch.from_numpy(sample.rendering.frames)
    masks = [
        torch.from_numpy(sample.rendering.mask(p)[0]) for p in range(len(sample.scene.objects))
    ]
    masks = [mask for mask in masks if mask.sum() > 100][:3]
    assert len(masks) >= 2
    media = Media(
        kind="image",
        frames=frames,
        times=torch.zeros(1, dtype=torch.float64),
        indices=(0,),
        size=(frames.shape[-2], frames.shape[-1]),
        duration=0.0,
        total_frames=1,
    )
    context = HeadContext(media=(media,), media_index=torch.zeros(len(masks), dtype=torch.long))
    targets = [MaskTarget.model_validate({"frames": {0: encode(mask)}}) for mask in masks]
    head = MaskHead(32, sam2=SOURCE)
    states = torch.randn(len(masks), 32)
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    for _ in range(60):
        terms = head.loss(head(states, context), targets)
        loss = sum(
            head.loss_weights[name] * total / count for name, (total, count) in terms.items()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for track, mask in zip(head.decode(head(states, context), context), masks, strict=True):
        overlap = (track.masks[0] & mask).sum() / (track.masks[0] | mask).sum()
        assert overlap > 0.7


def test_clips_hold_what_they_say() -> None:
    batches = clip_batches(seed=3, media="video", clips=3, frames=4, objects=2)
    clips = next(batches)
    assert clips.frames.shape == (3, 4, 3, 96, 96)
    assert clips.masks.shape[1:] == (4, 96, 96)
    assert clips.masks[:, 0].flatten(1).any(1).all()  # prompted objects are visible
    assert sorted(set(clips.clip.tolist())) == [0, 1, 2]
    assert ((clips.coords >= 0) & (clips.coords <= 1)).all()
    boxes = clips.labels[:, 0] == 2
    assert (clips.coords[boxes, 0] < clips.coords[boxes, 1]).all()
    again = clip_batches(seed=3, media="video", clips=3, frames=4, objects=2)
    assert torch.equal(next(again).frames, clips.frames)
    assert not torch.equal(next(batches).frames, clips.frames)


def test_gradients_flow_through_memory() -> None:
    """The loss of the last frame alone reaches the memory encoder and the prompt."""
    sam = load_sam2(SOURCE).requires_grad_(True).train()
    clips = next(clip_batches(seed=0, media="video", clips=2, frames=3, objects=2))
    outputs = unroll(sam, clips)
    loss, iou = clip_loss(outputs, clips.masks)
    assert loss.isfinite()
    assert 0 <= iou <= 1
    outputs.presence[:, -1].sum().backward()
    for part in (sam.memory_encoder, sam.memory_attention, sam.sam_prompt_encoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


@pytest.mark.parametrize("seed", [0])
def test_pretraining_writes_what_the_head_loads(tmp_path: Path, seed: int, monkeypatch) -> None:
    monkeypatch.setattr("tpo_plugins.tiny.pretrain_sam2._TEST_VIDEOS", 1)
    (tmp_path / "config.yaml").write_text((FOLDER / "config.yaml").read_text(encoding="utf-8"))
    stages = (
        Stage(media="image", frames=1, clips=2, objects=2, steps=2, learning_rate=1e-3),
        Stage(media="video", frames=2, clips=2, objects=2, steps=1, learning_rate=1e-3),
    )
    metrics = pretrain(tmp_path, seed=seed, stages=stages)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")) == metrics
    assert MaskHead(16, sam2=str(tmp_path)).sam2.image_size == 128


def test_finding_the_files_imports_nothing_heavy() -> None:
    """`importlib.resources` on the package's top alone."""
    code = (
        "import sys; from importlib import resources;"
        "assert (resources.files('tpo_plugins') / 'tiny/sam2' / 'config.yaml').is_file();"
        "assert not {'torch', 'transformers', 'sam2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
