"""The shipped tiny backbone: it loads as users load models, is small, and talks about the world."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
)

from tpo_plugins.tiny import BACKBONE
from tpo_plugins.tiny.chat import measure_chat
from tpo_plugins.world import draw_sample


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(BACKBONE).eval()


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(BACKBONE)


def test_is_a_llava_onevision_of_fp32_weights(model, processor) -> None:
    assert isinstance(model, LlavaOnevisionForConditionalGeneration)
    assert isinstance(processor, LlavaOnevisionProcessor)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_folder_is_small_and_safe() -> None:
    sizes = {path.name: path.stat().st_size for path in BACKBONE.iterdir()}
    assert sum(sizes.values()) < 6e6
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".pkl"))]


def test_importing_the_package_loads_no_torch() -> None:
    code = (
        "import sys, tpo_plugins.tiny; print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_answers_questions_about_unseen_scenes(model, processor) -> None:
    metrics = json.loads((BACKBONE / "metrics.json").read_text())
    measured = measure_chat(
        model, processor.tokenizer, seed=metrics["seed"] + 1, split="val", scenes=16
    )
    assert measured["qa"] > 0.55
    assert measured["qa"] > metrics["chat_val"]["qa"] - 0.2


def test_generates_a_caption_without_grounding(model, processor) -> None:
    sample = draw_sample(seed=11, split="val", index=1)
    question = {"type": "text", "text": "Describe the video."}
    video = {"type": "video", "video": sample.rendering.frames}
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": [video, question]}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"do_sample_frames": False},
    )
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=120, do_sample=False)
    ids = output[0, inputs["input_ids"].shape[1] :]
    text = processor.tokenizer.decode(ids, skip_special_tokens=True)
    assert ids[-1] == processor.tokenizer.eos_token_id
    assert text.startswith("There are ")
    assert not set(text) & set("<>[]0123456789")


def test_card_copies_the_figures() -> None:
    metrics = json.loads((BACKBONE / "metrics.json").read_text())
    card = (BACKBONE / "README.md").read_text()
    assert "license: apache-2.0" in card
    for name, value in metrics["chat_val"].items():
        assert f"| {name} | {value:.3f} | {metrics['chat_test'][name]:.3f} |" in card
