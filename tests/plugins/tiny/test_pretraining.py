"""The pretraining of the tiny backbone: labels, packing, and both steps end to end, briefly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from tpo_plugins.tiny.alignment import (
    PLACES,
    AlignmentSettings,
    align_words,
    edge_loss,
    word_ids,
)
from tpo_plugins.tiny.architecture import GRID, build_model, build_processor
from tpo_plugins.tiny.chat import ChatSettings, losses, predictions, rows, train_chat
from tpo_plugins.tiny.dense import VOCABULARIES, dense_labels
from tpo_plugins.tiny.packing import pack, visual_tokens
from tpo_plugins.tiny.pretrain import pretrain, world_sentences
from tpo_plugins.tiny.tokenizer import train_tokenizer
from tpo_plugins.tiny.vision import VisionSettings, drain_colour, labelled_frames, pool
from tpo_plugins.world import draw_sample
from tpo_plugins.world.attributes import COLOURS

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
        "<|user|><video>Is it red?<|assistant|>Yes.<|end|>"
    )
    assert (
        tokenizer.apply_chat_template(
            [{"role": "user", "content": "Hello"}], tokenize=False, add_generation_prompt=True
        )
        == "<|user|>Hello<|assistant|>"
    )


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


def test_word_ids_are_the_words_in_and_at_the_head_of_a_sentence() -> None:
    tokenizer = train_tokenizer(world_sentences(0), vocab_size=768)
    ids = word_ids(tokenizer, VOCABULARIES)
    for name, vocabulary in VOCABULARIES.items():
        within, at_head = ([tokenizer.decode([i]) for i in form] for form in ids[name])
        assert within == [f" {word}" for word in vocabulary]
        assert at_head == [word.capitalize() for word in vocabulary]


def test_word_ids_refuse_a_vocabulary_without_the_words(tokenizer) -> None:
    with pytest.raises(ValueError, match="a colour word takes several tokens"):
        word_ids(tokenizer, VOCABULARIES)


def test_alignment_trains_projector_and_word_embeddings_alone() -> None:
    tokenizer = train_tokenizer(world_sentences(0), vocab_size=768)
    model = build_model(tokenizer, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    align_words(
        model, tokenizer, seed=0, settings=AlignmentSettings(steps=2, batch=4, edge_weight=1.0)
    )
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    projector = {name for name in after if "multi_modal_projector" in name}
    assert changed == projector | {"model.language_model.embed_tokens.weight", "lm_head.weight"}
    forms = word_ids(tokenizer, VOCABULARIES | PLACES)
    words = torch.cat([ids for pair in forms.values() for ids in pair]).unique()
    moved = (after["lm_head.weight"] != before["lm_head.weight"]).any(dim=1)
    assert moved.nonzero().squeeze(1).tolist() == sorted(words.tolist())


def test_edge_loss_is_least_for_the_codes_of_the_true_edges() -> None:
    codes = torch.eye(96).reshape(4, 24, 96)
    boxes = (torch.tensor([[3, 5, 10, 20], [0, 1, 22, 23]]) + 0.5) / 24
    bins = (boxes * 24).long()
    states = codes[torch.arange(4), bins].sum(dim=1)
    at_truth = edge_loss(states, boxes, codes, scale=12.0)
    for wrong in (boxes.flip(0), (boxes + 4 / 24).clamp(max=0.99)):
        assert edge_loss(states, wrong, codes, scale=12.0) > at_truth + 0.5
    # A box midway between two places is worth the same from either side.
    between = boxes[:1] + torch.tensor([0.5, 0, 0, 0]) / 24
    above = codes[torch.arange(4), bins[:1] + torch.tensor([1, 0, 0, 0])].sum(dim=1)
    torch.testing.assert_close(
        edge_loss(states[:1], between, codes, scale=12.0),
        edge_loss(above, between, codes, scale=12.0),
    )


def test_drain_colour_makes_the_chosen_frames_grey_and_keeps_the_others() -> None:
    pixels = torch.rand(40, 3, 4, 4)
    drained, grey = drain_colour(pixels, 0.5, torch.Generator().manual_seed(0))
    assert 5 < grey.sum() < 35
    torch.testing.assert_close(drained[~grey], pixels[~grey])
    torch.testing.assert_close(
        drained[grey], pixels[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    )


def test_painted_frames_show_no_colour_of_the_world() -> None:
    stream = labelled_frames(0, "train", 12, painted=0.5)
    frames, strange, patches, _ = next(stream)
    assert 0 < strange.sum() < 12
    inside = (patches.objectness > 0).reshape(12, GRID, 1, GRID, 1)
    inside = inside.expand(-1, -1, 8, -1, 8).reshape(12, 96, 96)
    named = torch.tensor(list(COLOURS.values())).float()
    for frame, painted, shown in zip(frames, strange, inside, strict=True):
        pixels = frame.float().permute(1, 2, 0)[shown]
        near = (torch.cdist(pixels, named).amin(dim=1) < 12).float().mean()
        assert (near > 0.1) != bool(painted)


def test_painted_pictures_are_asked_nothing_about_colours() -> None:
    painted, plain = (rows(7, "train", "glimpse", questions=8, painted=share) for share in (1, 0))
    for _ in range(20):
        row, sample = next(painted)
        assert not np.array_equal(row.frames, sample.rendering.frames)
        words = " ".join(" ".join(turn) for turn in row.turns).lower()
        assert "colour" not in words
        assert not any(colour in words for colour in COLOURS)
        row, sample = next(plain)
        assert np.array_equal(row.frames, sample.rendering.frames)
        assert row.turns[-1][0] == sample.caption.question


def test_a_batch_without_captions_has_no_caption_loss(model, tokenizer) -> None:
    stream = rows(7, "train", "glimpse", questions=2, painted=1.0)
    told, described = losses(model, tokenizer, [next(stream) for _ in range(2)])
    assert told > 0
    assert described == 0


def test_chat_training_trains_all_but_tower_and_projector(tokenizer) -> None:
    model = build_model(tokenizer, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_chat(model, tokenizer, seed=0, settings=CHAT)
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert not any("vision_tower" in name for name in changed)
    assert {"model.image_newline", "lm_head.weight"} <= changed
    assert {name for name in after if "language_model.layers" in name} <= changed
    assert not any("multi_modal_projector" in name for name in changed)


def test_pretraining_writes_a_folder_that_loads_in_fp32(tmp_path: Path) -> None:
    output, work = tmp_path / "backbone", tmp_path / "work"
    recipe = (
        VisionSettings(steps=2, batch=4),
        AlignmentSettings(steps=2, batch=4, painted=0.0),
        CHAT,
        VisionSettings(steps=1, batch=4, grey=0.5, painted=0.5, start=50),
        CHAT,
    )
    metrics = pretrain(output, work=work, seed=3, recipe=recipe, scenes=8)
    model = AutoModelForImageTextToText.from_pretrained(output)
    assert model.dtype == torch.float32
    assert metrics == json.loads((output / "metrics.json").read_text())
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert f"| qa | {metrics['chat_val']['qa']:.3f} |" in (output / "README.md").read_text()
    assert AutoProcessor.from_pretrained(output).tokenizer.chat_template
    # An interrupted run goes on from the steps that are kept, and ends with the same weights.
    (work / "3-5.json").unlink()
    (work / "3-1.json").write_text(json.dumps({"seconds": 5000}))
    again = pretrain(tmp_path / "again", work=work, seed=3, recipe=recipe, scenes=8)
    assert again["seconds"]["vision"] >= 5000
    weights = [folder / "model.safetensors" for folder in (output, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
