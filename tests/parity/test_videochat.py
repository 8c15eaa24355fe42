"""The backbone computes what the published code computed, on every golden set that is there."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.parity import golden
from tpo_backbones.videochat.config import VideoChatConfig
from tpo_backbones.videochat.frames import middle_frames
from tpo_backbones.videochat.preprocess import normalised
from tpo_backbones.videochat.prompt import VideoChatRenderer
from tpo_backbones.videochat.qformer import QFormer, QFormerConfig
from tpo_backbones.videochat.vision import VisionEncoder, position_table
from tpo_core.backbone import TokenEmbeddings
from tpo_core.batch import pack
from tpo_core.media.types import Media
from tpo_core.records.schema import Message
from tpo_core.tokens import UPSTREAM_ORDER
from tpo_heads.clip_features.internvideo2.clips import sample_indices

PARTS, WHOLE = 1e-5, 2e-5


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= tolerance


# ---- 2: vision encoder


def vision_of(data: golden.Golden) -> VisionEncoder:
    encoder = VisionEncoder(golden.vision_config(data.settings["config"])).eval()
    encoder.load_state_dict(data.part("vision_encoder."))
    return encoder


@pytest.mark.parametrize("name", golden.names("2_vit_"))
@torch.no_grad()
def test_vision_encoder(name: str) -> None:
    data = golden.read(name)
    encoder = vision_of(data)
    assert len(encoder.encoder["blocks"]) == data.settings["blocks_instantiated"]
    frames = normalised(data.tensors["in.frames_uint8"])
    video = encoder(frames)
    assert_close(video, data.tensors["out.video"], PARTS)
    assert_close(encoder(frames[:, :1]), data.tensors["out.image_first_frame"], PARTS)
    norm = nn.LayerNorm(video.shape[-1], eps=1e-12)
    norm.load_state_dict(data.part("vision_layernorm."))
    after = norm(video.flatten(1, 2))
    assert_close(after, data.tensors["out.video_after_vision_layernorm"], PARTS)


@pytest.mark.parametrize("name", golden.names("2_vit_"))
def test_position_tables(name: str) -> None:
    data = golden.read(name)
    config = golden.vision_config(data.settings["config"])
    frames = data.tensors["in.frames_uint8"].shape[1] // config.tubelet_size
    for count, kind in ((frames, "video"), (1, "image")):
        expected = data.tensors[f"const.pos_embed_{kind}"][0]
        assert_close(table(config.grid, count, config.width, config.image_size), expected, PARTS)


@pytest.mark.parametrize("name", golden.tables("2_vit_posembed"))
def test_position_tables_of_full_size(name: str) -> None:
    data = golden.read_json(name)
    for kind, frames, rows in (("video", 16, "rows"), ("image", 1, "image_rows")):
        full = table(14, frames, 1024, 224)
        assert_close(full[data[rows]][:, data["channels"]], torch.tensor(data[kind]), PARTS)
        assert float(full.double().sum()) == pytest.approx(data[f"{kind}_sum"], abs=1e-3)
    video = table(14, 16, 1024, 224)
    assert float(video.double().abs().sum()) == pytest.approx(data["video_abs_sum"], abs=1e-3)


def table(grid: int, frames: int, width: int, size: int) -> Tensor:
    place = {"device": torch.device("cpu"), "dtype": torch.float32}
    return position_table(frames, grid, width, resized=size != 224, **place)


# ---- 3: Q-Former


@pytest.mark.parametrize("name", golden.names("3_qformer_"))
@torch.no_grad()
def test_qformer(name: str) -> None:
    data = golden.read(name)
    tensors = data.tensors
    config = golden.qformer_config(data.settings["config"])
    qformer = QFormer(config, vision_width=data.settings["config"]["vw"]).eval()
    qformer.load_state_dict(data.part("qformer."))
    asked = torch.cat([data.weights["query_tokens"], data.weights["extra_query_tokens"]], 1)
    vision = tensors["in.vision_tokens"]
    asked = asked.expand(len(vision), -1, -1)
    assert_close(qformer(asked, vision), tensors["out.queries"], PARTS)
    ids, mask = tensors["in.text_ids"], tensors["in.text_mask"]
    both = qformer(asked, vision, text_ids=ids, text_mask=mask)
    assert_close(both, tensors["out.full_sequence_with_text"], PARTS)
    assert_close(both[:, : asked.shape[1]], tensors["out.queries_with_text"], PARTS)


# ---- 6: the whole model

WHOLES = golden.names("6_full_")


@cache
def whole(name: str) -> tuple[golden.Golden, Any]:
    data = golden.read(name)
    return data, golden.backbone(data)


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_embeddings_states_and_logits(name: str) -> None:
    data, adapter = whole(name)
    tensors, model = data.tensors, adapter.model
    ids = tensors["in.input_ids"]
    assert torch.equal(ids == 0, tensors["in.visual_index"])
    assert_close(model.queries(tensors["in.video"]), tensors["mid.queries_video"], WHOLE)
    for kind in ("video", "image"):
        frames = tensors[f"in.{kind}"]
        embeds = model.embed(ids, model.encode(frames).flatten(0, 1))
        assert_close(embeds, tensors[f"mid.inputs_embeds_{kind}"], WHOLE)
        record = golden.record(ids, frames)
        states = adapter(pack([record]), adapter.encode([record]))
        assert_close(adapter.logits(states)[None], tensors[f"out.logits_{kind}"], WHOLE)
        if kind == "video":
            assert_close(states[None], tensors["out.last_hidden_video"], WHOLE)


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_task_states(name: str) -> None:
    """Three task tokens behind one prompt, as three branches of a tree."""
    data, adapter = whole(name)
    assert adapter.strategy == "tree"
    token = {"box": "<boxes>", "temporal": "<temp>", "track": "<tracking>"}
    slots = [data.settings["special_ids"][text] for text in token.values()]
    ids, frames = data.tensors["in.input_ids"], data.tensors["in.video"]
    record = golden.record(ids, frames, after=[[slot] for slot in slots])
    values = torch.cat([data.weights[f"{task}_token"][0] for task in token])
    learned = TokenEmbeddings(token_ids=torch.tensor(slots), values=values)
    batch = pack([record])
    states = adapter(batch, adapter.encode([record]), learned)
    for task, branch in zip(token, batch.spans()[0][1], strict=True):
        found = states[branch.stop - 1][None, None]
        assert_close(found, data.tensors[f"out.task_hidden.{task}"], WHOLE)


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_greedy_answer(name: str) -> None:
    data, adapter = whole(name)
    record = golden.record(data.tensors["in.input_ids"], data.tensors["in.video"])
    state = adapter.branch(adapter.prefill(record, adapter.encode([record])[0]), 1)
    feed, answer = record.branches[0].ids[None], []
    for _ in data.tensors["out.greedy_ids"]:
        states = adapter.extend(state, feed, torch.tensor([feed.shape[1]]))
        feed = adapter.logits(states[:, -1]).argmax(-1)[:, None]
        answer.append(int(feed))
    assert answer == data.tensors["out.greedy_ids"].tolist()


@pytest.mark.parametrize("name", WHOLES)
@torch.no_grad()
def test_language_loss(name: str) -> None:
    """The one loss of a training step that no head has a share in."""
    data, adapter = whole(name)
    ids = data.tensors["train.region.input_ids"]
    record = golden.record(ids, data.tensors["in.image"])
    slot = torch.tensor([data.settings["special_ids"]["<boxes>"]])
    learned = TokenEmbeddings(token_ids=slot, values=data.weights["box_token"][0])
    states = adapter(pack([record]), adapter.encode([record]), learned)
    # Labels begin behind the prefix and the `<s>` after it.
    first = len(record.prefix_ids) + 1
    logits = adapter.logits(states[first - 1 : -1])
    loss = float(F.cross_entropy(logits, ids[0, first:]))
    assert loss == pytest.approx(data.settings["losses"]["region_lm_only"], abs=WHOLE)


# ---- 7: prompts and frames


TEXTS = golden.tables("7_tokenization")
MAX_TOKENS = 1024


def renderer_of(data: dict[str, Any]) -> VideoChatRenderer:
    tokenizer = golden.mistral_tokenizer()
    tokenizer.add(sorted(data["special_ids"], key=data["special_ids"].get))
    queries = QFormerConfig(queries=data["n_query"], extra_queries=0)
    # The published code cuts the end off where ours refuses.
    return VideoChatRenderer(tokenizer, VideoChatConfig(qformer=queries, max_tokens=sys.maxsize))


@pytest.mark.parametrize("name", TEXTS)
def test_ids_of_task_tokens(name: str) -> None:
    data = golden.read_json(name)
    tokenizer = golden.mistral_tokenizer()
    tokenizer.add(UPSTREAM_ORDER)
    assert tokenizer.added == data["special_ids"]
    assert len(tokenizer) == data["len_tokenizer"]
    ids = (tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id)
    assert ids == (data["bos"], data["eos"], data["unk"])


@pytest.mark.parametrize("name", TEXTS)
def test_prompts(name: str) -> None:
    data = golden.read_json(name)
    renderer = renderer_of(data)
    for case in data["prompts"]:
        media = media_of(case["media"], case["msg"])
        question = [Message(role="user", content=case["text"])]
        record = renderer.render(media, [question], generate=True)
        ids = torch.cat([record.prefix_ids, record.branches[0].ids])[:MAX_TOKENS]
        runs = [torch.full((count,), bool(flag)) for flag, count in case["visual_runs"]]
        is_visual = torch.cat(runs)
        assert len(ids) == case["total_len"]
        assert torch.equal(ids == 0, is_visual)
        assert ids[~is_visual].tolist() == case["ids"]


def media_of(kind: Any, sentence: str) -> Media:
    """Return media whose frames lie at the times that a golden sentence names."""
    words = sentence.partition(" sampled at ")[2].removesuffix(" seconds. ")
    times = [float(word) for word in words.split(", ")] if words else [0.0] * 16
    count = 1 if kind == "image" else len(times)
    return Media(
        kind=kind,
        frames=torch.zeros(count, 3, 8, 8, dtype=torch.uint8),
        times=torch.tensor(times[:count], dtype=torch.float64),
        indices=tuple(range(count)),
        size=(8, 8),
        duration=0.0 if kind == "image" else 10.0,
        total_frames=count,
    )


@pytest.mark.parametrize("name", TEXTS)
def test_task_tokens_in_text(name: str) -> None:
    data = golden.read_json(name)
    tokenizer = renderer_of(data).tokenizer
    for case in data["strings"]:
        ids = tokenizer.encode(case["text"])
        assert ids == case["ids"]
        assert [tokenizer.bos_id, *ids] == case["ids_with_bos"]
        # Ours gives back what was written; the published decoder puts blanks around tokens.
        text = tokenizer.decode(ids)
        assert text == case["text"].removesuffix("</s>")
        assert text.replace(" ", "") == case["decode"].removesuffix("</s>").replace(" ", "")


@pytest.mark.parametrize("name", golden.tables("7_frame_sampling"))
def test_frames(name: str) -> None:
    for case in golden.read_json(name):
        total = case["vlen"]
        if case["sample"] == "middle":
            found = middle_frames(total, case["num_frames"])
        else:
            # Frames of clip features: at a fixed rate, of whole seconds.
            rate = float(case["sample"].removeprefix("fps"))
            found = sample_indices(total, fps=case["input_fps"], rate=rate)
            found = found[: len(found) // int(rate) * int(rate)]
        assert found == case["indices"], case


# ---- the published checkpoint


def test_every_key_of_the_published_checkpoint_has_its_place() -> None:
    """Built with its LoRA at full size, nothing is missing, left over or of another shape."""
    from peft import LoraConfig, inject_adapter_in_model

    from tpo_backbones.videochat.adapter import VideoChatLayout
    from tpo_backbones.videochat.model import VideoChatModel
    from tpo_backbones.videochat.published import LEGACY, SLOT_OF, own_name

    path = golden.HERE / "tpo" / "checkpoint_shapes.json"
    published = json.loads(path.read_text(encoding="utf-8"))["shapes"]
    with torch.device("meta"):
        model = VideoChatModel(VideoChatConfig())
        lora = LoraConfig(r=16, target_modules=VideoChatLayout(model).linear_layers())
        inject_adapter_in_model(lora, model)
    ours = {name: list(value.shape) for name, value in model.state_dict().items()}
    named = {name: own_name(name) for name in published}
    assert {own: published[name] for name, own in named.items() if own} == ours
    rest = {name for name, own in named.items() if own is None}
    legacy = {name for name in rest if name.startswith(LEGACY)}
    assert len(legacy) == 12
    heads = ("sam.", "cg_model.", "cg_criterion.", "track_embed", "loc_", *SLOT_OF)
    assert all(name.startswith(heads) for name in rest - legacy)
    assert len(published) == 2594
