"""The region head: upstream's formula and layout, defined gradients, decoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.head import HeadContext
from tpo_core.records.schema import RegionPrompt, RegionTarget
from tpo_core.results import Box
from tpo_heads.boxes import giou_loss, order_corners
from tpo_heads.region import RegionHead

GOLDEN = Path(__file__).parents[1] / "golden" / "tpo" / "1_region_A.safetensors"
NO_MEDIA = HeadContext(media=(), media_index=torch.zeros(0, dtype=torch.long))
BOXES = [(0.1, 0.2, 0.5, 0.6), (0.3, 0.0, 0.9, 1.0), (0.55, 0.5, 0.6, 0.95)]
TARGETS = [RegionTarget(box=box) for box in BOXES]


def giou_by_hand(a: list[float], b: tuple[float, ...]) -> float:
    def area(box: Sequence[float]) -> float:
        return (box[2] - box[0]) * (box[3] - box[1])

    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(wide, 0) * max(high, 0)
    union = area(a) + area(b) - overlap
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return overlap / union - (hull - union) / hull


def test_loss_is_upstreams_formula() -> None:
    predicted = torch.tensor([[0.2, 0.1, 0.4, 0.7], [0.0, 0.1, 0.2, 0.3], [0.5, 0.5, 0.7, 0.9]])
    head = RegionHead(8)
    terms = head.loss(predicted, TARGETS)
    l1 = (
        sum(
            abs(p - t)
            for row, box in zip(predicted.tolist(), BOXES, strict=True)
            for p, t in zip(row, box, strict=True)
        )
        / 4
    )
    giou = sum(
        1 - giou_by_hand(row, box) for row, box in zip(predicted.tolist(), BOXES, strict=True)
    )
    assert terms["l1"][0].item() == pytest.approx(l1, abs=1e-5)
    assert terms["giou"][0].item() == pytest.approx(giou, abs=1e-5)
    assert head.loss_weights == {"l1": 2.0, "giou": 0.2}


def test_loss_and_gradient_of_well_ordered_boxes_equal_upstreams() -> None:
    golden = load_file(GOLDEN)
    head = RegionHead(64)
    boxes = golden["in.loss_pred_valid"].requires_grad_()
    targets = [RegionTarget.model_construct(box=box) for box in golden["in.target_boxes"].tolist()]
    terms = head.loss(boxes, targets)
    loss = torch.stack([head.loss_weights[name] * t / n for name, (t, n) in terms.items()]).sum()
    loss.backward()
    torch.testing.assert_close(loss.detach(), golden["out.box_loss.valid"][0])
    torch.testing.assert_close(boxes.grad, golden["out.box_loss_grad.valid"], atol=1e-6, rtol=1e-4)


def test_upstream_activation_is_a_plain_mlp_with_upstreams_names() -> None:
    head = RegionHead(16, activation="none")
    shapes = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    assert shapes == {
        "loc_decoder.0.weight": (8, 16), "loc_decoder.0.bias": (8,),
        "loc_decoder.2.weight": (4, 8), "loc_decoder.2.bias": (4,),
        "loc_encoder.0.weight": (8, 4), "loc_encoder.0.bias": (8,),
        "loc_encoder.2.weight": (16, 8), "loc_encoder.2.bias": (16,),
    }  # fmt: skip
    states, weights = torch.randn(3, 16), head.state_dict()
    hidden = (states @ weights["loc_decoder.0.weight"].T + weights["loc_decoder.0.bias"]).clamp(0)
    expected = hidden @ weights["loc_decoder.2.weight"].T + weights["loc_decoder.2.bias"]
    torch.testing.assert_close(head(states, NO_MEDIA), expected)


def test_sigmoid_boxes_are_never_inverted() -> None:
    boxes = RegionHead(16)(50 * torch.randn(64, 16), NO_MEDIA)
    assert (boxes[:, 2:] >= boxes[:, :2]).all()


@pytest.mark.parametrize(
    "start",
    [(0.9, 0.9, 0.1, 0.1), (0.9, 0.1, 0.2, 0.6), (0.5, 0.5, 0.5, 0.5), (3.0, 3.0, -1.0, -1.0)],
    ids=["inverted", "inverted x", "empty", "outside"],
)
def test_any_prediction_descends_onto_the_target(start: tuple[float, ...]) -> None:
    box = torch.tensor([start], requires_grad=True)
    head = RegionHead(8, activation="none")
    descent = torch.optim.Adam([box], lr=0.02)
    for _ in range(300):
        terms = head.loss(box, TARGETS[:1])
        loss = sum(head.loss_weights[name] * total for name, (total, _) in terms.items())
        assert isinstance(loss, Tensor)
        descent.zero_grad()
        loss.backward()
        assert box.grad is not None
        assert box.grad.isfinite().all()
        descent.step()
    torch.testing.assert_close(box.detach(), torch.tensor(BOXES[:1]), atol=0.03, rtol=0)


def test_giou_gradient_of_an_inverted_box_mirrors_the_ordered_one() -> None:
    target = torch.tensor(BOXES[:1])
    ordered = torch.tensor([[0.6, 0.7, 0.9, 0.8]], requires_grad=True)
    inverted = ordered.detach()[:, [2, 3, 0, 1]].requires_grad_()
    giou_loss(ordered, target).sum().backward()
    giou_loss(inverted, target).sum().backward()
    assert ordered.grad is not None
    assert inverted.grad is not None
    torch.testing.assert_close(inverted.grad[:, [2, 3, 0, 1]], ordered.grad)
    assert ordered.grad.abs().sum() > 0


def test_decode_orders_and_clamps() -> None:
    head = RegionHead(8, activation="none")
    results = head.decode(torch.tensor([[1.2, 0.8, 0.25, -0.5]]), NO_MEDIA)
    assert results[0] == Box(0.25, 0.0, 1.0, pytest.approx(0.8))
    assert str(results[0]) == "[0.25, 0.00, 1.00, 0.80]"
    torch.testing.assert_close(
        order_corners(torch.tensor([0.5, 0.1, 0.2, 0.3])), torch.tensor([0.2, 0.1, 0.5, 0.3])
    )


def test_prompts_embed_their_box_only() -> None:
    head = RegionHead(12)
    prompts = [RegionPrompt(box=BOXES[0]), RegionPrompt(box=BOXES[1], frame=3)]
    embedded = head.encode_prompts(prompts)
    assert embedded.shape == (2, 12)
    torch.testing.assert_close(embedded[1:], head.encode_prompts([RegionPrompt(box=BOXES[1])]))
    assert not torch.allclose(embedded[0], embedded[1])
    assert head.encode_prompts([]).shape == (0, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "tanh"}, "activation is 'tanh'; expected 'sigmoid' or 'none'"),
        ({"l1_weight": -1.0}, "l1_weight=-1.0, giou_weight=0.2; expected values of at least 0"),
        ({"state": "last"}, "state is 'last'; expected 'slot' or 'trigger'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RegionHead(8, **options)  # type: ignore[arg-type] - wrong on purpose


def test_learns_boxes_from_states_of_unseen_boxes() -> None:
    torch.manual_seed(0)
    mix = torch.randn(4, 32)
    corners = torch.rand(512, 2) * 0.6
    boxes = torch.cat([corners, corners + 0.1 + 0.3 * torch.rand(512, 2)], dim=1)
    states = (boxes - boxes.mean(0)) @ mix * 3
    targets = [RegionTarget(box=tuple(box)) for box in boxes.tolist()]
    head = RegionHead(32)
    optimizer = torch.optim.AdamW(head.parameters(), lr=5e-3)
    for step in range(200):
        rows = torch.arange(32) + 32 * (step % 12)
        terms = head.loss(head(states[rows], NO_MEDIA), [targets[row] for row in rows.tolist()])
        optimizer.zero_grad()
        loss = sum(head.loss_weights[name] * total / n for name, (total, n) in terms.items())
        assert isinstance(loss, Tensor)
        loss.backward()
        optimizer.step()
    error = (head(states[384:], NO_MEDIA) - boxes[384:]).abs().mean()
    assert error < 0.05
