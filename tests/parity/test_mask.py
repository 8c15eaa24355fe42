"""The mask head against the reference's adapter, prompts, masks of all frames, and losses.

The reference changed SAM2 for its prompt; the released `sam2` package, prompted by us, must give
the same numbers from the same weights.
"""

from __future__ import annotations

import pytest
import torch
import yaml
from safetensors.torch import save_file

from tests.parity import golden
from tpo_heads.mask.adapter import PromptAdapter, TwoLayers
from tpo_heads.mask.features import encode_images
from tpo_heads.mask.losses import mean_l1
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.propagate import Prompt, propagate
from tpo_heads.mask.sam2_source import load_sam2

SETS = golden.names("5_sam_")
EXACT = {"atol": 1e-5, "rtol": 0.0}
PROPAGATED = {"atol": 1e-4, "rtol": 0.0}


@pytest.fixture(scope="module", params=SETS)
def case(request, tmp_path_factory):
    """Return a set, SAM2 with its weights, and the adapter with its."""
    found = golden.read(request.param)
    folder = tmp_path_factory.mktemp("sam2")
    text = yaml.safe_dump({"model": dict(found.settings["yaml"])})
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    save_file(found.part("sam."), folder / "model.safetensors")
    weights = found.part("track_embed.")
    hidden, wide = (weights[f"layers.{layer}.weight"] for layer in (0, 1))
    rows = len(wide) // 3
    adapter = PromptAdapter(hidden.shape[1], hidden=len(hidden), start=torch.zeros(3, rows))
    adapter.load_state_dict(weights, strict=True)
    return found, load_sam2(str(folder)), adapter


def test_there_is_a_golden_set():
    assert SETS


def prompt_of(case, kind):
    found, sam, adapter = case
    if kind == "box":
        return box_embedding(sam, found.tensors["in.box_xyxy_norm"].reshape(1, 4))
    hidden = found.tensors["in.hidden"]
    return adapter(hidden.reshape(1, hidden.shape[-1]))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["token", "box"])
def test_prompts_masks_and_propagation(case, kind):
    found, sam, _ = case
    tensors, sparse = found.tensors, prompt_of(case, kind)
    torch.testing.assert_close(sparse, tensors[f"out.{kind}.sparse_embedding"], **EXACT)
    frames = tensors["in.frames"][0]
    features = encode_images(sam, frames)
    for level, maps in enumerate(features.maps):
        torch.testing.assert_close(maps[:1], tensors[f"mid.backbone_fpn.{level}"], **EXACT)
    stream = (features.take([row]) for row in range(len(frames)))
    prompts = [Prompt(frame=0, sparse=sparse)]
    masks = list(propagate(sam, stream, prompts=prompts, num_frames=len(frames)))
    low = tensors[f"out.{kind}.frame0_mask_logits_low_res"]
    torch.testing.assert_close(masks[0].logits, low, **EXACT)
    size = tuple(found.settings["video_hw"])
    shown = torch.stack(
        [torch.nn.functional.interpolate(m.logits, size=size, mode="bilinear") for m in masks]
    )
    expected = tensors[f"out.{kind}.propagated_mask_logits_video_res"]
    torch.testing.assert_close(shown, expected, **PROPAGATED)


@torch.no_grad()
def test_adapter_loss(case):
    found = case[0]
    loss = mean_l1(prompt_of(case, "token"), prompt_of(case, "box"))
    torch.testing.assert_close(loss.reshape(1), found.tensors["out.adapter_l1_loss"], **EXACT)


@torch.no_grad()
@pytest.mark.parametrize("name", golden.names("1_region_"))
def test_both_adapters_of_the_region_set(name):
    found = golden.read(name)
    hidden = found.tensors["in.hidden"]
    embed, box = found.part("track_embed."), found.part("track_embed_decode2.")
    rows = len(embed["layers.1.weight"]) // 3
    width = len(embed["layers.0.weight"])
    adapter = PromptAdapter(hidden.shape[-1], hidden=width, start=torch.zeros(3, rows))
    adapter.load_state_dict(embed, strict=True)
    torch.testing.assert_close(adapter(hidden[:1]), found.tensors["out.track_embed"], **EXACT)
    boxes = TwoLayers(hidden.shape[-1], hidden=len(box["layers.0.weight"]), out=4)
    boxes.load_state_dict(box, strict=True)
    expected = found.tensors["out.track_embed_decode2"]
    torch.testing.assert_close(boxes(hidden), expected, **EXACT)
    predicted, target = found.tensors["in.loss_pred_valid"], found.tensors["in.target_boxes"]
    first = mean_l1(predicted[:1], target[:1])
    torch.testing.assert_close(first.reshape(1), found.tensors["out.track_box_l1"], **EXACT)
