"""The region head against the reference's boxes, prompts, losses and gradients."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tpo_core.head import HeadContext
from tpo_core.records.schema import RegionPrompt, RegionTarget
from tpo_heads.region import RegionHead

GOLDEN = Path(os.environ.get("TPO_GOLDEN_DIR", Path(__file__).parents[1] / "golden")) / "tpo"
SETS = sorted(GOLDEN.glob("1_region_*.safetensors"))
NO_MEDIA = HeadContext(media=(), media_index=torch.zeros(0, dtype=torch.long))
EXACT = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(params=SETS, ids=lambda path: path.stem)
def golden(request):
    return load_file(request.param)


@pytest.fixture
def head(golden):
    weights = {name[3:]: value for name, value in golden.items() if name.startswith("sd.loc_")}
    hidden = golden["in.hidden"].shape[-1]
    head = RegionHead(hidden, activation="none", inverted="left_out")
    head.load_state_dict(weights, strict=True)
    return head


def test_there_is_a_golden_set():
    assert SETS


def test_boxes_and_prompt_embeddings(head, golden):
    boxes = head(golden["in.hidden"], NO_MEDIA)
    torch.testing.assert_close(boxes, golden["out.boxes"], **EXACT)
    prompts = [RegionPrompt.model_construct(box=box) for box in golden["in.user_boxes"].tolist()]
    torch.testing.assert_close(head.encode_prompts(prompts), golden["out.user_box_embeds"], **EXACT)


@pytest.mark.parametrize(
    ("case", "source"),
    [
        ("valid", "in.loss_pred_valid"),
        ("raw", "out.boxes"),
        ("none_valid", "in.loss_pred_none_valid"),
    ],
)
def test_losses_and_gradients(head, golden, case, source):
    boxes = golden[source].clone().requires_grad_()
    targets = [RegionTarget.model_construct(box=box) for box in golden["in.target_boxes"].tolist()]
    terms = head.loss(boxes, targets)
    loss = sum(head.loss_weights[name] * total / count for name, (total, count) in terms.items())
    torch.testing.assert_close(loss.reshape(1), golden[f"out.box_loss.{case}"], **EXACT)
    loss.backward()
    torch.testing.assert_close(boxes.grad, golden[f"out.box_loss_grad.{case}"], **EXACT)
