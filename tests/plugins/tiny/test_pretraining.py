"""The pretraining of the tiny backbone: labels, packing, and both steps end to end, briefly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from tpo_plugins.tiny.architecture import GRID, build_model, build_processor
from tpo_plugins.tiny.chat import ChatSettings, predictions, rows, train_chat
from tpo_plugins.tiny.dense import VOCABULARIES, dense_labels
from tpo_plugins.tiny.packing import pack, visual_tokens
from tpo_plugins.tiny.pretrain import Round, pretrain
from tpo_plugins.tiny.tokenizer import train_tokenizer
from tpo_plugins.tiny.vision import VisionSettings, pool
from tpo_plugins.world import draw_sample

CHAT = ChatSettings(
    steps=3,
    rows={"image": 2, "video": 2},
    mixture={"image": 0.5, "video": 0.5},
    questions=2,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["What colour is the circle?", "There are two objects."], vocab_size=400)


@pytest.fixture(scope="module")
def model(tokenizer):
    return build_model(tokenizer, seed=0).eval()


@pytest.mark.parametrize("text", ["Is the circle red?", "Ünïcode 汉字 \U0001f600\n\ttabs  2.5", ""])
def test_any_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_chat_template_puts_media_first(tokenizer) -> None:
    content = [{"type": "text", "text": "Is it red?"}, {"type": "video"}]
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == (
        "<|im_start|>user\n<video>\nIs it red?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
    )
    assert tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], tokenize=False, add_generation_prompt=True
    ) == ("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("view", ["glimpse", "image", "video"])
def test_packed_rows_equal_separate_conversations(model, tokenizer, view) -> None:
    processor = build_processor(tokenizer)
    stream = rows(5, "train", view, questions=2)
    batch = [next(stream)[0] for _ in range(2)]
    with torch.no_grad():
        logits, truth, (row, turn) = predictions(model, pack(batch, tokenizer), batch)
    for place, item in enumerate(batch):
        for index, (question, answer) in enumerate(item.turns):
            pixels = item.frames if item.media == "video" else item.frames[0]
            asked = [{"type": item.media, item.media: pixels}, {"type": "text", "text": question}]
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}],
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                return_assistant_tokens_mask=True,
                processor_kwargs={"do_sample_frames": False} if item.media == "video" else {},
            )
            told = torch.as_tensor(inputs.pop("assistant_masks"))[0].nonzero().squeeze(1)
            with torch.no_grad():
                expected = model(**inputs).logits[0, told - 1]
            here = (row == place) & (turn == index)
            assert truth[here].tolist() == inputs["input_ids"][0, told].tolist()
            torch.testing.assert_close(logits[here], expected, atol=1e-5, rtol=1e-4)
            holes = {"image": tokenizer.image_token_id, "video": tokenizer.video_token_id}
            count = (inputs["input_ids"] == holes[item.media]).sum().item()
            assert count == visual_tokens(item.media, len(item.frames))


def test_pool_is_what_the_model_does_to_video_frames(model) -> None:
    features = torch.randn(3, GRID**2, 7)
    torch.testing.assert_close(pool(features), model.model.apply_pooling(features))


@pytest.mark.parametrize("grid", [GRID, GRID // 2])
def test_dense_labels_name_the_object_a_cell_shows_most_of(grid: int) -> None:
    sample = draw_sample(seed=2, split="train", index=1)
    scene, drawing, time = sample.scene, sample.rendering, 5
    labels = dense_labels([(scene, drawing, time, time)], grid=grid)
    side = drawing.owner.shape[1] // grid
    shown = 0
    for cell in range(grid**2):
        top, left = cell // grid * side, cell % grid * side
        pixels = drawing.owner[time, top : top + side, left : left + side].ravel()
        counts = np.bincount(pixels[pixels >= 0], minlength=len(scene.objects))
        if counts.max() / side**2 < 0.09:
            assert labels.objectness[0, cell] == 0
            assert all(words[0, cell] == -100 for words in labels.words.values())
            continue
        item = scene.objects[int(counts.argmax())]
        told = {name: VOCABULARIES[name][words[0, cell]] for name, words in labels.words.items()}
        assert told == {
            "colour": item.colours[time],
            "shape": item.shape,
            "texture": item.texture,
            "size": item.size,
        }
        assert labels.boxes[0, cell].tolist() == drawing.boxes[time, counts.argmax()].tolist()
        shown += 1
    assert shown > 0


def test_step_two_trains_all_but_the_tower(tokenizer) -> None:
    model = build_model(tokenizer, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_chat(model, tokenizer, seed=0, settings=CHAT)
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert not any("vision_tower" in name for name in changed)
    assert {"model.image_newline", "lm_head.weight"} <= changed
    assert {name for name in after if "language_model.layers" in name} <= changed
    assert {name for name in after if "multi_modal_projector" in name} <= changed


def test_pretraining_writes_a_folder_that_loads_in_fp32(tmp_path: Path) -> None:
    output, work = tmp_path / "backbone", tmp_path / "work"
    rounds = (
        Round(vision=VisionSettings(steps=2, batch=4), chat=CHAT),
        Round(vision=VisionSettings(steps=1, batch=4, grey=0.5, start=50), chat=CHAT),
    )
    metrics = pretrain(output, work=work, seed=3, rounds=rounds, scenes=8)
    model = AutoModelForImageTextToText.from_pretrained(output)
    assert model.dtype == torch.float32
    assert metrics == json.loads((output / "metrics.json").read_text())
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert f"| qa | {metrics['chat_val']['qa']:.3f} |" in (output / "README.md").read_text()
    assert AutoProcessor.from_pretrained(output).tokenizer.chat_template
    # An interrupted run goes on from the steps that are kept, and ends with the same weights.
    (work / "3-chat-2.json").unlink()
    (work / "3-vision-1.json").write_text(json.dumps({"seconds": 5000}))
    again = pretrain(tmp_path / "again", work=work, seed=3, rounds=rounds, scenes=8)
    assert again["seconds_vision"] >= 5000
    weights = [folder / "model.safetensors" for folder in (output, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
