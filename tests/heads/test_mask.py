"""The mask head: training, decoding, prompts of users, what it saves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.heads.mask_samples import (
    block,
    context_of,
    picture,
    target_of,
    video,
    write_golden_sam2,
)
from tpo_core.errors import InputError
from tpo_core.records.schema import MaskTarget, RegionPrompt
from tpo_core.results import MaskTrack
from tpo_core.testing import HeadConformance
from tpo_heads.mask import MaskHead
from tpo_heads.mask.features import encode_images, prepare_frames
from tpo_heads.mask.losses import mask_bce, mask_dice
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.propagate import Prompt, propagate
from tpo_heads.mask.targets import mask_box
from tpo_heads.mask.tracks import at_original_size


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_golden_sam2(tmp_path_factory.mktemp("sam2"))


@pytest.fixture
def head(source: str) -> MaskHead:
    torch.manual_seed(0)
    return MaskHead(24, sam2=source)


def total(head: MaskHead, states: Tensor, context: Any, targets: list[MaskTarget]) -> Tensor:
    terms = head.loss(head(states, context), targets)
    return torch.stack([head.loss_weights[name] * t / n for name, (t, n) in terms.items()]).sum()


class TestConformance(HeadConformance):
    bad_options = (
        {"sam2": "nowhere"},
        {"box_prompt": "llm"},
        {"encoder_dtype": "int8"},
        {"encode_batch": 0},
        {"loss_weights": {"bce": -1.5}},
        {"loss_weights": {"ce": 1.5}},
    )
    slots = 4
    overfit_steps = 30
    overfit_ratio = 0.8  # a random SAM2 draws no mask well, however it is prompted

    @pytest.fixture
    def head_factory(self, source: str) -> Any:
        def build(hidden_size: int, **options: Any) -> MaskHead:
            return MaskHead(hidden_size, **{"sam2": source, **options})

        return build


# ---- training


def test_loss_is_the_prompted_frame_through_sam2(head: MaskHead) -> None:
    """Box, prompt and mask terms against a computation by hand on frame 1, the first annotated."""
    media = video(3)
    context = context_of([media], [0])
    mask = block(media.size)
    outputs = head(torch.randn(1, 24), context)
    terms = head.loss(outputs, [target_of(media, frame=1, mask=mask)])
    sam = head.sam2
    box = torch.tensor([[8 / 64, 5 / 48, 30 / 64, 20 / 48]])
    l1 = (outputs.prompts - box_embedding(sam, box)).abs().mean()
    torch.testing.assert_close(terms["prompt_l1"], (l1, 1.0))
    torch.testing.assert_close(terms["box_l1"], ((outputs.boxes - box).abs().mean(), 1.0))
    features = encode_images(sam, prepare_frames(media.frames[1:2], image_size=64))
    single = copy.deepcopy(sam)
    single.sam_mask_decoder.dynamic_multimask_via_stability = False
    prompts = [Prompt(frame=0, sparse=outputs.prompts)]
    (frame,) = propagate(single, [features], prompts=prompts, num_frames=1)
    torch.testing.assert_close(terms["presence"][0], -frame.presence[0].log(), atol=1e-5, rtol=1e-5)
    if frame.presence[0] > 0.5:  # else SAM2 overwrites the logits
        logits = torch.nn.functional.interpolate(frame.logits, size=(64, 64), mode="bilinear")[0]
        grown = torch.nn.functional.interpolate(
            mask[None, None].float(), size=(64, 64), mode="bilinear", antialias=True
        )
        truth = (grown[0] >= 0.5).float()
        torch.testing.assert_close(terms["bce"][0], mask_bce(logits, truth), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(terms["dice"][0], mask_dice(logits, truth), atol=1e-4, rtol=1e-4)


def test_bce_and_dice_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[50.0, -50.0], [-50.0, -50.0]]])
    masks = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]])
    assert mask_bce(logits, masks).item() == pytest.approx(0.693147, abs=1e-5)
    assert mask_dice(logits, masks).item() == pytest.approx(1 - (2 * 0.5 + 1) / (2 + 1 + 1))


@pytest.mark.parametrize("term", ["prompt_l1", "box_l1", "bce", "dice", "presence"])
def test_each_term_alone_reaches_states_and_leaves_sam2(source: str, term: str) -> None:
    names = ("prompt_l1", "box_l1", "bce", "dice", "presence")
    head = MaskHead(24, sam2=source, loss_weights={name: float(name == term) for name in names})
    assert dict(head.loss_weights) == {term: 1.0}
    media = [video(2), picture()]
    states = torch.randn(3, 24, requires_grad=True)
    loss = total(
        head, states, context_of(media, [0, 1, 0]), [target_of(media[i]) for i in (0, 1, 0)]
    )
    loss.backward()
    assert (states.grad.abs().sum(1) > 0).all()
    assert all(parameter.grad is None for parameter in head.sam2.parameters())


@pytest.mark.parametrize("train_decoder", [False, True])
def test_training_leaves_the_released_weights_alone(source: str, train_decoder: bool) -> None:
    """Also with a trained decoder, masks beyond the prompted frame come from released weights."""
    torch.manual_seed(0)
    head = MaskHead(24, sam2=source, train_decoder=train_decoder)
    before = {name: value.clone() for name, value in head.sam2.state_dict().items()}
    ours = {name: value.clone() for name, value in head.named_parameters()}
    media = video(3)
    context, states = context_of([media], [0]), torch.randn(1, 24)
    optimizer = torch.optim.AdamW([p for p in head.parameters() if p.requires_grad], lr=1e-2)
    head.train()
    for _ in range(2):
        optimizer.zero_grad()
        total(head, states, context, [target_of(media)]).backward()
        optimizer.step()
    assert not head.sam2.training
    after = head.sam2.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    moved = [name for name, value in head.named_parameters() if not torch.equal(value, ours[name])]
    trained = [name for name, value in head.named_parameters() if value.requires_grad]
    assert set(moved) == set(trained)
    assert any(name.startswith("decoder.") for name in moved) == train_decoder
    (track,) = head.decode(head(states, context), context)
    assert track.masks.shape == (3, 48, 64)


def test_trained_decoder_decides_the_prompted_frame_only(source: str) -> None:
    """Its mask of the prompted frame goes into the released SAM2 as a mask prompt."""
    torch.manual_seed(0)
    head = MaskHead(24, sam2=source, train_decoder=True)
    media = video(4)
    context, states = context_of([media], [0]), torch.randn(1, 24)
    drawn = block((64, 64), slice(10, 40), slice(5, 30))
    with torch.no_grad():
        for parameter in head.decoder.pred_obj_score_head.parameters():
            parameter.fill_(1.0)  # always there
    logits = torch.where(drawn[::4, ::4], 9.0, -9.0)[None, None]
    head.decoder.predict_masks = lambda **inputs: (logits, None, None, torch.ones(1, 1))
    (track,) = head.decode(head(states, context), context)
    sam = head.sam2
    masks = at_original_size(logits, (64, 64))[:, None].float()
    features = encode_images(sam, prepare_frames(media.frames, image_size=64))
    expected = propagate(
        sam,
        (features.take([row]) for row in range(4)),
        prompts=[Prompt(frame=0, sparse=torch.zeros(1, 3, 32), masks=masks)],
        num_frames=4,
    )
    for found, frame in zip(track.masks, expected, strict=True):
        assert torch.equal(found, at_original_size(frame.logits, media.size)[0])
    assert track.masks[0].any()


def test_media_are_encoded_once(head: MaskHead, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots about the same frame share its features, in the loss and when decoding."""
    seen: list[int] = []
    encode = head.sam2.forward_image
    monkeypatch.setattr(
        head.sam2, "forward_image", lambda images: seen.append(len(images)) or encode(images)
    )
    media = [video(3), picture()]
    index = [0, 0, 1, 0]
    context = context_of(media, index)
    outputs = head(torch.randn(4, 24), context)
    head.loss(outputs, [target_of(media[i]) for i in index])
    assert sum(seen) == 2
    seen.clear()
    head.decode(outputs, context)
    assert sum(seen) == 4


def test_skip_reasons(head: MaskHead) -> None:
    media = video(3)
    assert head.skip_reason(target_of(media), media) is None
    assert head.skip_reason(target_of(media, frame=2), media.without_frames()) is None
    assert "without media" in head.skip_reason(target_of(media), None)
    assert "no annotated frame" in head.skip_reason(target_of(media, frame=7), media)
    other = target_of(video(1, size=(20, 20)), mask=block((20, 20)))
    assert "size [20, 20] on media of size [48, 64]" in head.skip_reason(other, media)
    empty = target_of(media, mask=torch.zeros(48, 64, dtype=torch.bool))
    assert "not visible" in head.skip_reason(empty, media)


def test_box_of_a_mask_has_outer_edges() -> None:
    assert mask_box(torch.ones(4, 8, dtype=torch.bool)).tolist() == [0, 0, 1, 1]
    one = torch.zeros(4, 8, dtype=torch.bool)
    one[1, 2] = True
    assert mask_box(one).tolist() == [0.25, 0.25, 0.375, 0.5]


# ---- decoding


def test_results_follow_their_media(head: MaskHead) -> None:
    """Image, one-frame video and video in one batch; sizes, times and numbers are the media's."""
    media = [video(4), picture(), video(1, size=(20, 26))]
    index = [1, 0, 2, 0]
    context = context_of(media, index)
    results = head.decode(head(torch.randn(4, 24), context), context)
    for result, item in zip(results, index, strict=True):
        assert isinstance(result, MaskTrack)
        frames = media[item].frames
        assert result.masks.shape == (len(frames), *media[item].size)
        assert result.masks.dtype == torch.bool
        assert result.indices == media[item].indices
        assert result.times == tuple(media[item].times.tolist())
        assert len(result.scores) == len(frames)
        assert all(0 <= score <= 1 for score in result.scores)


def test_user_box_prompts_sam2_or_the_token(source: str) -> None:
    """`box_prompt` says whose prompt counts; the box's frame is where tracking starts."""
    media = video(5)
    box = RegionPrompt(box=(0.1, 0.2, 0.6, 0.8), frame=2)
    context = context_of([media], [0], [[box]])
    states = torch.randn(2, 1, 24)
    torch.manual_seed(0)
    by_box = MaskHead(24, sam2=source)
    tracks = [by_box.decode(by_box(state, context), context)[0] for state in states]
    assert torch.equal(tracks[0].masks, tracks[1].masks)
    assert tracks[0].scores[:2] == (0.0, 0.0)
    assert not tracks[0].masks[:2].any()
    sam = by_box.sam2
    features = encode_images(sam, prepare_frames(media.frames, image_size=64))
    prompts = [Prompt(frame=2, sparse=box_embedding(sam, torch.tensor([box.box])))]
    rows = (features.take([row]) for row in range(5))
    expected = propagate(sam, rows, prompts=prompts, num_frames=5)
    for score, frame in zip(tracks[0].scores, expected, strict=True):
        assert score == pytest.approx(frame.presence.item(), abs=1e-4)
    by_token = MaskHead(24, sam2=source, box_prompt="token")
    tracks = [by_token.decode(by_token(state, context), context)[0] for state in states]
    assert tracks[0].scores[2:] != tracks[1].scores[2:]
    assert tracks[0].scores[:2] == (0.0, 0.0)


def test_several_boxes_go_to_their_slots_in_turn(head: MaskHead) -> None:
    media = video(2)
    boxes = [RegionPrompt(box=(0.1, 0.2, 0.6, 0.8)), RegionPrompt(box=(0.5, 0.5, 1.0, 1.0))]
    both = context_of([media], [0, 0], [boxes, boxes])
    each = context_of([media], [0, 0], [boxes[:1], boxes[1:]])
    states = torch.randn(2, 24)
    for found, expected in zip(
        head.decode(head(states, both), both), head.decode(head(states, each), each), strict=True
    ):
        assert torch.equal(found.masks, expected.masks)
        assert found.scores == pytest.approx(expected.scores, abs=1e-5)


def test_box_on_a_frame_that_was_not_sampled_takes_the_nearest(head: MaskHead) -> None:
    from dataclasses import replace

    media = replace(video(3), indices=(0, 10, 20))
    context = context_of([media], [0], [[RegionPrompt(box=(0.1, 0.2, 0.6, 0.8), frame=12)]])
    (track,) = head.decode(head(torch.randn(1, 24), context), context)
    assert track.scores[0] == 0.0
    assert track.scores[1] > 0


def test_media_without_frames_is_an_error(head: MaskHead) -> None:
    context = context_of([video(2).without_frames()], [0])
    with pytest.raises(InputError, match="reached the mask head without frames"):
        head.decode(head(torch.randn(1, 24), context), context)


# ---- modules


def test_only_what_trains_is_saved(source: str, tmp_path: Path) -> None:
    """The file holds the adapter and the copied decoder; a fresh head gives the same masks."""
    torch.manual_seed(0)
    head = MaskHead(24, sam2=source, train_decoder=True)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    state = head.state_dict()
    assert {name.split(".")[0] for name in state} == {
        "track_embed",
        "track_embed_decode2",
        "decoder",
    }
    save_file(state, tmp_path / "head.safetensors")
    torch.manual_seed(1)
    other = MaskHead(24, sam2=source, train_decoder=True)
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    context, states = context_of([video(3)], [0]), torch.randn(1, 24)
    (ours,), (theirs,) = (h.decode(h(states, context), context) for h in (head, other))
    assert torch.equal(ours.masks, theirs.masks)
    assert ours.scores == theirs.scores


def test_sam2_stays_float32_and_out_of_the_parameters(head: MaskHead) -> None:
    head.to(torch.bfloat16)
    assert next(head.parameters()).dtype == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in head.sam2.parameters())
    assert not {id(p) for p in head.parameters()} & {id(p) for p in head.sam2.parameters()}
    assert not any(p.requires_grad for p in head.sam2.parameters())
    head.requires_grad_(True)
    assert not any(p.requires_grad for p in head.sam2.parameters())


def test_sam2_moves_with_the_head(head: MaskHead, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only other device everywhere is "meta", from which nothing returns: SAM2 is kept."""
    moved: list[torch.device] = []
    monkeypatch.setattr(head.sam2, "to", lambda device: moved.append(device))
    head.to("meta")
    assert not moved
    monkeypatch.setattr(type(head.sam2), "device", torch.device("cuda", 0))
    head.to_empty(device="cpu")
    assert moved == [torch.device("cpu")]


def test_copies_are_independent(head: MaskHead) -> None:
    other = copy.deepcopy(head)
    assert other.sam2 is not head.sam2
    context, states = context_of([video(2)], [0]), torch.randn(1, 24)
    (ours,), (theirs,) = (h.decode(h(states, context), context) for h in (head, other))
    assert torch.equal(ours.masks, theirs.masks)


def test_upstream_parameter_names(head: MaskHead) -> None:
    assert {name: tuple(p.shape) for name, p in head.named_parameters()} == {
        "track_embed.layers.0.weight": (24, 24),
        "track_embed.layers.0.bias": (24,),
        "track_embed.layers.1.weight": (96, 24),
        "track_embed.layers.1.bias": (96,),
        "track_embed_decode2.layers.0.weight": (24, 24),
        "track_embed_decode2.layers.0.bias": (24,),
        "track_embed_decode2.layers.1.weight": (4, 24),
        "track_embed_decode2.layers.1.bias": (4,),
    }
