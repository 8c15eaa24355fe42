"""A tiny VideoChat-TPO: every part of the published one, in a second's time."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from tests.backbones.tiny.parts import CORPUS, HIDDEN
from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_backbones.videochat.config import LanguageConfig, VideoChatConfig
from tpo_backbones.videochat.model import VideoChatModel
from tpo_backbones.videochat.qformer import QFormerConfig
from tpo_backbones.videochat.tokenizer import Tokenizer
from tpo_backbones.videochat.vision import VisionConfig


def tokenizer() -> Tokenizer:
    """A vocabulary of Mistral's kind: word marks, bytes for what it has no piece for."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*CORPUS, "[INST] <Video> </Video> <Image> </Image> [/INST]"]),
        model_writer=model,
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return Tokenizer(model.getvalue())


def config(*, vocabulary: int) -> VideoChatConfig:
    return VideoChatConfig(
        vision=VisionConfig(image_size=32, patch_size=16, width=32, heads=2, depth=3),
        qformer=QFormerConfig(
            width=32,
            layers=2,
            heads=2,
            intermediate_size=48,
            queries=3,
            extra_queries=2,
            vocabulary=20,
            max_positions=8,
        ),
        language=LanguageConfig(
            hidden_size=HIDDEN,
            intermediate_size=96,
            layers=2,
            heads=4,
            key_value_heads=2,
            vocabulary=vocabulary,
            max_positions=512,
        ),
        num_frames=4,
        max_tokens=300,
    )


def build(folder: Path, *, seed: int = 0) -> VideoChatAdapter:
    """Write a tiny random checkpoint and load it as users do."""
    tok = tokenizer()
    torch.manual_seed(seed)
    model = VideoChatModel(config(vocabulary=len(tok)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Wide enough for a leak between branches to show, small enough for fp32 to stay exact.
            if parameter.dim() > 1 or "bias" in name:
                parameter.normal_(0, 0.1)
    VideoChatAdapter(model, tok).save(str(folder))
    return VideoChatAdapter.load(str(folder))
