"""VideoChat-TPO passes the conformance kit; and what that does not ask: layout, files, frames."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.backbones.tiny import videochat as tiny
from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_backbones.videochat.config import VideoChatConfig
from tpo_backbones.videochat.frames import middle_frames
from tpo_backbones.videochat.preprocess import normalised, pixel_values
from tpo_backbones.videochat.published import own_name
from tpo_core.backbone import BackboneAdapter
from tpo_core.batch import pack
from tpo_core.build import attach
from tpo_core.errors import InputError
from tpo_core.media.types import Media
from tpo_core.records.schema import Message
from tpo_core.testing import BackboneConformance
from tpo_core.testing.backbone_samples import TASK_TOKENS, sample_media

TEXT_PARTS = tuple(f"layer.{n}.{part}." for n in range(2) for part in ("intermediate", "output"))


def by_hand(backbone: Any, kind: str, messages: Sequence[Message]) -> list[int]:
    """Tokenise a conversation piece by piece as the published code does."""
    tokenizer = backbone.renderer.tokenizer
    pieces = tokenizer._pieces

    def ids_of(text: str) -> list[int]:
        found = []
        for part in re.split(f"({'|'.join(TASK_TOKENS)})", text):
            found += [tokenizer.added[part]] if part in tokenizer.added else pieces.encode(part)
        return found

    ids: list[int] = []
    if kind != "text":
        tag = {"video": "Video", "image": "Image"}[kind]
        ids = [1, *ids_of(f"[INST] <{tag}>"), *[0] * 5, 1, *ids_of(f"</{tag}>[/INST]")]
    for message in messages:
        if message.role == "user":
            ids += [1, *ids_of(f" [INST] {message.content} [/INST] ")]
        else:
            ids += [*ids_of(message.content), 2]
    return ids


class TestVideoChat(BackboneConformance):
    # No instruction is given to the Q-Former, so what reads it gets no gradient.
    idle = (*TEXT_PARTS, "word_embeddings", "position_embeddings")

    def whole_ids(
        self, backbone: BackboneAdapter, name: str, messages: Sequence[Message]
    ) -> torch.Tensor | None:
        return torch.tensor(by_hand(backbone, name, messages))

    @pytest.fixture(scope="class")
    def backbone(self, tmp_path_factory: pytest.TempPathFactory) -> BackboneAdapter:
        return tiny.build(tmp_path_factory.mktemp("videochat"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny")
    tiny.build(place)
    return place


@pytest.fixture(scope="module")
def adapter(folder: Path) -> VideoChatAdapter:
    return VideoChatAdapter.load(str(folder))


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to spoil."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def ask(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def test_strategy_is_the_tree(adapter: VideoChatAdapter) -> None:
    assert adapter.strategy == "tree"
    assert adapter.info()["model_type"] == "videochat_tpo"
    assert adapter.info()["attention"] == "tpo_tree"


# ---- prompts


def test_system_turn_is_an_instruction_of_its_own(adapter: VideoChatAdapter) -> None:
    chat = [Message(role="system", content="Be brief."), *ask("Why?")]
    tokenizer = adapter.renderer.tokenizer
    expected = [1, *tokenizer.encode(" [INST] Be brief. [/INST] ")]
    expected += [1, *tokenizer.encode(" [INST] Why? [/INST] ")]
    assert adapter.renderer.render(None, [chat]).branches[0].ids.tolist() == expected


def test_times_are_told_to_who_asks_about_a_video(adapter: VideoChatAdapter) -> None:
    def told(media: Media | None, text: str) -> str:
        ids = adapter.renderer.render(media, [ask(text)]).branches[0].ids
        return adapter.renderer.decode(ids.tolist())

    question = "At what timestamp?"
    sentence = "The video contains 4 frames sampled at 0.0, 0.5, 1.0, 1.0 seconds."
    assert f"</Video> {sentence}[/INST]" in told(sample_media("video", frames=3), question)
    assert "sampled" not in told(sample_media("video"), "When?")
    assert "sampled" not in told(sample_media("image"), question)
    assert "sampled" not in told(None, question)


@pytest.mark.parametrize("token", ["<unk>", "<s>", "</s>", "[<VID_PLH>]", "[<IMG_PLH>]"])
def test_special_tokens_in_text_are_refused(adapter: VideoChatAdapter, token: str) -> None:
    with pytest.raises(InputError, match=rf"holds '{re.escape(token)}', a special token"):
        adapter.renderer.render(None, [ask(f"a{token}b")])


def test_long_conversations_are_refused(adapter: VideoChatAdapter) -> None:
    with pytest.raises(InputError, match="exceeds the 300 that VideoChat-TPO takes; shorten"):
        adapter.renderer.render(sample_media("image"), [ask("why " * 300)])


def test_media_without_frames_is_refused(adapter: VideoChatAdapter) -> None:
    media = sample_media("image")
    assert media is not None
    with pytest.raises(InputError, match="has no frames; decode it before rendering"):
        adapter.renderer.render(media.without_frames(), [ask("What?")])


# ---- frames


def test_frames_are_resized_as_pillow_does_it() -> None:
    frames = torch.randint(256, (2, 3, 60, 80), generator=torch.Generator().manual_seed(0))
    frames = frames.to(torch.uint8)
    pictures = [
        Image.fromarray(frame.permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.BICUBIC)
        for frame in frames
    ]
    expected = torch.stack([torch.tensor(list(p.getdata())).view(32, 32, 3) for p in pictures])
    found = pixel_values(frames, size=32)
    level = 1 / 255 / 0.224  # of the eight bits, in normalised units
    error = (found - normalised(expected.permute(0, 3, 1, 2))).abs()
    assert float(error.max()) <= 1.01 * level


@pytest.mark.parametrize(("given", "shown"), [(2, [0, 1]), (4, [0, 1, 2, 3]), (9, [0, 2, 4, 7])])
def test_frame_features_are_those_of_single_pictures(
    adapter: VideoChatAdapter, given: int, shown: list[int]
) -> None:
    media = sample_media("video", frames=given)
    assert media is not None
    assert media.frames is not None
    record = adapter.renderer.render(media, [ask("What?")])
    features = adapter.frame_features(record, adapter.encode([record])[0])
    # Frames are half a second apart, and the file has five times as many.
    assert features.times.tolist() == pytest.approx([0.5 * n + 0.05 for n in shown])
    for number, group in zip(shown, features.features, strict=True):
        picture = pixel_values(media.frames[number][None], size=32)[None]
        assert torch.allclose(adapter.model.encode(picture)[0], group, atol=1e-5)


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(InputError, match="a video of 0 frames has none to look at"):
        middle_frames(0, 16)


def test_text_has_no_frame_features(adapter: VideoChatAdapter) -> None:
    record = adapter.renderer.render(None, [ask("What?")])
    with pytest.raises(InputError, match="give it an image or video"):
        adapter.frame_features(record, None)


# ---- training


def test_only_a_trained_qformer_drops_out(adapter: VideoChatAdapter) -> None:
    twin = copy.deepcopy(adapter)
    twin.model.requires_grad_(False)
    assert not twin.train().model.qformer.training
    for parameter in twin.parameter_group("connector").values():
        parameter.requires_grad_(True)
    assert twin.train().model.qformer.training
    assert not twin.model.vision_encoder.training


def test_recomputing_the_encoder_keeps_its_gradients(adapter: VideoChatAdapter) -> None:
    found = []
    for recomputes in (False, True):
        encoder = copy.deepcopy(adapter.model.vision_encoder).requires_grad_(True).train()
        encoder.recomputes = recomputes
        encoder(torch.ones(1, 2, 3, 32, 32)).square().mean().backward()
        found.append([parameter.grad for parameter in encoder.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_answers_with_heads(folder: Path) -> None:
    model = attach(VideoChatAdapter.load(str(folder)), ["region", "temporal"], lora=None)
    question = "When does the circle appear?"
    when = model.predict(sample_media("video"), question, task="temporal", max_new_tokens=4)
    where = model.predict(sample_media("image"), "Where is it?", task="region", max_new_tokens=4)
    assert len(when.spans) == 1
    assert len(where.boxes) == 1


# ---- files


def test_config_survives_json() -> None:
    config = tiny.config(vocabulary=9)
    assert VideoChatConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert VideoChatConfig.from_json({"model_type": "videochat_tpo"}) == VideoChatConfig()


def test_weights_may_lie_in_shards_and_in_half_precision(
    adapter: VideoChatAdapter, broken: Path
) -> None:
    weights = load_file(broken / "model.safetensors")
    (broken / "model.safetensors").unlink()
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        save_file({n: weights[n] for n in part}, broken / f"model-{number:05}-of-00002.safetensors")
    again = VideoChatAdapter.load(str(broken), dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
    # Rotary frequencies are no weights and keep their precision.
    assert again.model.lm.model.rotary_emb.inv_freq.dtype == torch.float32
    record = adapter.renderer.render(sample_media("video"), [ask("What?")])
    states = [a(pack([record]), a.encode([record])).detach() for a in (adapter, again)]
    assert float((states[0] - states[1].float()).abs().max()) < 0.1 * float(states[0].abs().max())


def _set(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_another_models_config_is_refused(broken: Path) -> None:
    _set(broken / "config.json", model_type="mistral")
    with pytest.raises(InputError, match="of a 'mistral' model, expected 'videochat_tpo'"):
        VideoChatAdapter.load(str(broken))


def test_unknown_fields_are_refused(broken: Path) -> None:
    _set(broken / "config.json", vision={"widht": 3})
    with pytest.raises(InputError, match=r"config.json: the config cannot be used: .*'widht'"):
        VideoChatAdapter.load(str(broken))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_frames": 0}, r"config\.json: the config's num_frames is 0; expected a positive"),
        (
            {"vision": {"width": 33, "heads": 2}},
            r"the config's vision\.width is 33; expected a positive multiple of 2",
        ),
        ({"max_tokens": "many"}, r"config\.json: the config cannot be used: '<' not supported"),
    ],
)
def test_values_that_cannot_be_used_are_refused(
    broken: Path, values: dict[str, Any], message: str
) -> None:
    _set(broken / "config.json", **values)
    with pytest.raises(InputError, match=message):
        VideoChatAdapter.load(str(broken))


def test_a_config_that_is_no_object_is_refused(broken: Path) -> None:
    (broken / "config.json").write_text("[1]")
    with pytest.raises(InputError, match=r"config\.json holds a list; expected the object"):
        VideoChatAdapter.load(str(broken))


def test_a_checkpoint_that_is_nowhere_is_named() -> None:
    with pytest.raises(InputError, match="no model at 'nobody/nothing'"):
        VideoChatAdapter.load("nobody/nothing")


def test_a_missing_config_is_named(broken: Path) -> None:
    (broken / "config.json").unlink()
    with pytest.raises(InputError, match=r"cannot read .*config.json"):
        VideoChatAdapter.load(str(broken))


def test_weights_of_another_size_are_refused(broken: Path) -> None:
    _set(broken / "config.json", vision={"width": 64, "heads": 2, "depth": 3, "image_size": 32})
    with pytest.raises(InputError, match=r"has shape \[.*\], expected \[.*\]; config and weights"):
        VideoChatAdapter.load(str(broken))


@pytest.mark.parametrize("is_missing", [True, False])
def test_weights_must_be_the_models(broken: Path, is_missing: bool) -> None:
    weights = load_file(broken / "model.safetensors")
    if is_missing:
        del weights["query_tokens"]
    else:
        weights["stranger"] = torch.zeros(1)
    save_file(weights, broken / "model.safetensors")
    reason = "lacks query_tokens" if is_missing else "holds stranger, which the model does not have"
    with pytest.raises(InputError, match=reason):
        VideoChatAdapter.load(str(broken))


def test_whole_numbers_are_no_weights(broken: Path) -> None:
    weights = load_file(broken / "model.safetensors")
    weights["query_tokens"] = weights["query_tokens"].to(torch.int8)
    save_file(weights, broken / "model.safetensors")
    with pytest.raises(InputError, match=r"query_tokens has type torch\.int8, expected one like"):
        VideoChatAdapter.load(str(broken))


def test_ids_of_added_tokens_must_fit(broken: Path) -> None:
    first = len(tiny.tokenizer())
    (broken / "added_tokens.json").write_text(json.dumps({"<boxes>": first + 1}))
    with pytest.raises(
        InputError, match=rf"has the ids \[{first + 1}\]; expected each from {first}"
    ):
        VideoChatAdapter.load(str(broken))
    (broken / "added_tokens.json").write_text(json.dumps({"<boxes>": first}))
    with pytest.raises(InputError, match=rf"has {first + 1} ids and the model embeds {first}"):
        VideoChatAdapter.load(str(broken))


@pytest.mark.parametrize("spoilt", ["model.safetensors", "tokenizer.model", "added_tokens.json"])
def test_broken_files_are_named(broken: Path, spoilt: str) -> None:
    (broken / spoilt).write_bytes(b"no such thing")
    with pytest.raises(InputError, match=r"is broken|cannot read the tokenizer"):
        VideoChatAdapter.load(str(broken))


def test_unknown_attention_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="attention 'warp' cannot be used"):
        VideoChatAdapter.load(str(folder), attention="warp")


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("lm.base_model.model.lm_head.base_layer.weight", "lm.lm_head.base_layer.weight"),
        ("vision_encoder.encoder.blocks.0.attn.q_bias",) * 2,
        ("project_down.weight", None),
        ("loc_encoder.0.bias", None),
    ],
)
def test_published_names(published: str, own: str | None) -> None:
    assert own_name(published) == own
