"""The whole model with its three heads: results, training losses and gradients of the release.

A golden set holds no targets of the temporal loss but its saliency: the moment is where that is
above 0, and the clips of the hinge term are the reference's (found among all pairs by the total,
which they give to the last bit).
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import save_file
from torch import Tensor

from tests.parity import golden
from tpo_backbones.videochat.published import SLOT_OF
from tpo_core.backbone import TokenEmbeddings
from tpo_core.batch import pack
from tpo_core.errors import CheckpointError
from tpo_core.head import HeadContext
from tpo_core.records.schema import RegionPrompt, RegionTarget
from tpo_heads.mask.adapter import PromptAdapter, TwoLayers
from tpo_heads.mask.features import encode_images
from tpo_heads.mask.losses import mean_l1
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.propagate import Prompt, propagate
from tpo_heads.mask.sam2_source import load_sam2
from tpo_heads.region import RegionHead
from tpo_heads.temporal_cgdetr import CGDETR, CGDETRSettings, SetTargets
from tpo_heads.temporal_cgdetr.criterion import set_criterion, weighted_total
from tpo_heads.temporal_cgdetr.losses import TOTAL_WEIGHT

WHOLES = golden.names("6_full_")
EXACT = {"atol": 2e-5, "rtol": 0.0}
PROPAGATED = {"atol": 1e-4, "rtol": 0.0}
NO_MEDIA = HeadContext(media=(), media_index=torch.zeros(0, dtype=torch.long))
HINGE = ((3, 0), (5, 8))  # which clip must lead which


@cache
def whole(name: str) -> SimpleNamespace:
    """Return the set, the backbone and the heads with its weights."""
    data = golden.read(name)
    hidden = data.settings["llm"]["hidden_size"]
    region = RegionHead(hidden, activation="none", inverted="left_out")
    parts = ("loc_encoder.", "loc_decoder.")
    region.load_state_dict({n: v for n, v in data.weights.items() if n.startswith(parts)})
    temporal = CGDETR(CGDETRSettings(**data.settings["cgdetr"])).eval()
    temporal.load_state_dict(data.part("cg_model."))
    embed, box = data.part("track_embed."), data.part("track_embed_decode2.")
    rows = len(embed["layers.1.weight"]) // 3
    prompt = PromptAdapter(hidden, hidden=len(embed["layers.0.weight"]), start=torch.zeros(3, rows))
    prompt.load_state_dict(embed)
    boxes = TwoLayers(hidden, hidden=len(box["layers.0.weight"]), out=4)
    boxes.load_state_dict(box)
    return SimpleNamespace(
        data=data,
        backbone=golden.backbone(data),
        region=region,
        temporal=temporal,
        prompt=prompt,
        boxes=boxes,
    )


def states_of(model: Any, kind: str, media: str, prompt: Tensor | None = None) -> Any:
    """Run a training sequence; return its LM loss, the state at its slot, and the learnt token.

    Args:
        model: From `whole`.
        kind: `region`, `temporal` or `track`.
        media: Whether it is about the `image` or the `video`.
        prompt: Embedding of the user's box.
    """
    data, ids = model.data, model.data.tensors[f"train.{kind}.input_ids"]
    ids_of = data.settings["special_ids"]
    name = {"region": "box_token", "temporal": "temporal_token", "track": "track_token"}[kind]
    token = data.weights[name].clone().requires_grad_()
    values = {ids_of[SLOT_OF[name]]: token.flatten()}
    if prompt is not None:
        values[ids_of["<track_box>"]] = prompt
    row = ids[0].tolist()
    found = [index for index in row if index in values]
    learned = TokenEmbeddings(
        token_ids=torch.tensor(found), values=torch.stack([values[index] for index in found])
    )
    record = golden.record(ids, data.tensors[f"in.{media}"])
    states = model.backbone(pack([record]), model.backbone.encode([record]), learned)
    first = row.index(0) + row.count(0) + 1  # labels begin behind the visual places' tag
    loss = F.cross_entropy(model.backbone.logits(states[first - 1 : -1]), ids[0, first:])
    return loss, states[row.index(ids_of[SLOT_OF[name]])], token


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.detach(), expected, **EXACT)


def total(model: Any, name: str) -> float:
    return float(model.data.settings["losses"][name])


def lora_of(model: Any) -> Tensor:
    """Return LoRA's B of the first layer's queries."""
    adapted = model.backbone.model.get_submodule("lm.model.layers.0.self_attn.q_proj")
    weight: Tensor = adapted.lora_B["default"].weight
    return weight.requires_grad_()


# ---- results


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_results_of_the_heads(name: str) -> None:
    model = whole(name)
    tensors = model.data.tensors
    hidden = {k: tensors[f"out.task_hidden.{k}"][0] for k in ("box", "temporal", "track")}
    close(model.region(hidden["box"], NO_MEDIA), tensors["out.region_box"])
    close(model.prompt(hidden["track"]), tensors["out.mask_prompt"])
    close(model.boxes(hidden["track"]), tensors["out.track_box"])
    video, text = tensors["in.cg_vid"], tensors["in.cg_txt"]
    every = [torch.ones(part.shape[:2], dtype=torch.bool) for part in (video, text)]
    outputs = model.temporal(video, every[0], text, every[1], hidden["temporal"])
    close(outputs.predictions[-1].logits, tensors["out.cg_logits"])
    close(outputs.predictions[-1].spans, tensors["out.cg_spans"])
    close(outputs.saliency, tensors["out.cg_saliency"])


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_mask_of_the_first_frame(name: str, tmp_path: Any) -> None:
    """The set names another set's SAM2 configuration; whichever fits its weights is taken."""
    model = whole(name)
    tensors = model.data.tensors
    for other in golden.names("5_sam_"):
        config = golden.read_json(other)["yaml"]
        text = yaml.safe_dump({"model": config})
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        save_file(model.data.part("sam."), tmp_path / "model.safetensors")
        try:
            sam = load_sam2(str(tmp_path))
        except CheckpointError:
            continue
        features = encode_images(sam, tensors["in.sam_frames"][0, :1])
        prompt = Prompt(frame=0, sparse=model.prompt(tensors["out.task_hidden.track"][0]))
        mask = next(iter(propagate(sam, iter([features]), prompts=[prompt], num_frames=1)))
        size = tuple(model.data.settings["sam_video_hw"])
        found = F.interpolate(mask.logits, size=size, mode="bilinear")
        torch.testing.assert_close(found, tensors["out.mask_logits_frame0"], **PROPAGATED)
        return
    pytest.skip(f"{name} uses the SAM2 of {model.data.settings['sam']!r}, a set that is not here")


# ---- training


@pytest.mark.parametrize("name", WHOLES)
def test_region_loss_and_gradients(name: str) -> None:
    model = whole(name)
    tensors, lora = model.data.tensors, lora_of(model)
    project = model.backbone.model.project_up.weight.requires_grad_()
    loss, state, token = states_of(model, "region", "image")
    assert loss.item() == pytest.approx(total(model, "region_lm_only"), abs=2e-5)
    boxes = model.region(state[None], NO_MEDIA)
    target = RegionTarget.model_construct(box=tensors["train.region.target"][0].tolist())
    terms = model.region.loss(boxes, [target])
    weights = model.region.loss_weights
    loss = loss + sum(weights[term] * value / count for term, (value, count) in terms.items())
    assert loss.item() == pytest.approx(total(model, "region_total"), abs=2e-5)
    found = torch.autograd.grad(loss, [token, lora, project])
    close(found[0], tensors["train.region.grad.box_token"])
    close(found[1], tensors["train.region.grad.lora_B_q0"])
    close(found[2], tensors["train.region.grad.project_up"])


@pytest.mark.parametrize("name", WHOLES)
def test_temporal_loss_and_gradients(name: str) -> None:
    model = whole(name)
    tensors, lora = model.data.tensors, lora_of(model)
    loss, state, token = states_of(model, "temporal", "video")
    video, text = tensors["in.cg_vid"], tensors["in.cg_txt"]
    every = [torch.ones(part.shape[:2], dtype=torch.bool) for part in (video, text)]
    outputs = model.temporal(video, every[0], text, every[1], state[None])
    labels = tensors["train.temporal.saliency"]
    clips = (labels[0] > 0).nonzero().flatten()
    start, end = int(clips[0]) / labels.shape[1], (int(clips[-1]) + 1) / labels.shape[1]
    pairs = torch.zeros(1, labels.shape[1], labels.shape[1])
    for above, below in HINGE:
        pairs[0, above, below] = 1
    targets = SetTargets(
        spans=torch.tensor([[[(start + end) / 2, end - start]]]),
        real=torch.ones(1, 1, dtype=torch.bool),
        labels=labels,
        pairs=pairs,
    )
    moments = model.temporal.moments(outputs.inputs, targets.relevant)
    terms = set_criterion(outputs, moments, targets, prompts=model.temporal.global_rep_token)
    loss = loss + TOTAL_WEIGHT * weighted_total(terms)
    assert loss.item() == pytest.approx(total(model, "temporal_total"), abs=2e-5)
    found = torch.autograd.grad(loss, [token, lora])
    close(found[0], tensors["train.temporal.grad.temporal_token"])
    close(found[1], tensors["train.temporal.grad.lora_B_q0"])


@pytest.mark.parametrize("name", WHOLES)
def test_track_loss_and_gradients(name: str) -> None:
    """A user's box prompts the LLM; both adapters are drawn to it."""
    model = whole(name)
    tensors = model.data.tensors
    box = tensors["train.track.user_box"]
    last = model.region.loc_encoder[-1].weight
    prompt = model.region.encode_prompts([RegionPrompt.model_construct(box=box.tolist())])[0]
    loss, state, token = states_of(model, "track", "video", prompt)
    expected = box_embedding(prompt_encoder(model.data), box[None])
    loss = loss + mean_l1(model.prompt(state[None]), expected)
    loss = loss + mean_l1(model.boxes(state[None]), box[None])
    assert loss.item() == pytest.approx(total(model, "track_total"), abs=2e-5)
    found = torch.autograd.grad(loss, [token, last])
    close(found[0], tensors["train.track.grad.track_token"])
    close(found[1].sum().reshape(1), tensors["train.track.grad.loc_encoder.2.weight_sum"])


def prompt_encoder(data: golden.Golden) -> Any:
    """Return as much of SAM2 as encodes a box; its configuration is in another set."""
    from sam2.modeling.sam.prompt_encoder import PromptEncoder

    side = data.tensors["in.sam_frames"].shape[-1]
    weights = data.part("sam.sam_prompt_encoder.")
    encoder = PromptEncoder(
        embed_dim=weights["not_a_point_embed.weight"].shape[-1],
        image_embedding_size=(side // 16, side // 16),
        input_image_size=(side, side),
        mask_in_chans=weights["mask_downscaling.3.weight"].shape[0],
    )
    encoder.load_state_dict(weights)
    encoder.requires_grad_(False)
    return SimpleNamespace(sam_prompt_encoder=encoder, image_size=side, device=torch.device("cpu"))
