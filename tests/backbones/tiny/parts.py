"""Parts that tiny models share: tokenizer, chat template, decoder and vision configs."""

from __future__ import annotations

from typing import Any

HIDDEN = 64
VOCABULARY = 512
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE' }}"
    "{% elif part['type'] == 'video' %}{{ 'VIDEO' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = [
    "user assistant system When does the red circle appear? It appears at the left of a square.",
    "Where is the object? Describe the video. The blue triangle moves from 1.5 to 2.0 seconds.",
    "How many shapes are there? There are three, and one of them vanishes: Frame 1: 00:01",
]


# LLaVA 1.5's: no special tokens around turns, none behind an answer.
PLAIN = (
    "{% for message in messages %}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
    "{% else %}{{ '<image>\n' if part['type'] == 'image' else '<video>\n' }}{% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def sentencepiece(**named: str) -> Any:
    """A tokenizer that marks word starts, as SentencePiece does, and begins with `<s>`."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Metaspace(prepend_scheme="first")
    specials = ["<unk>", "<s>", "</s>", "<pad>", *named.values()]
    letters = [chr(code) for code in range(33, 127)] + ["\n"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=[AddedToken(text, special=True) for text in specials],
        initial_alphabet=letters,
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=named,
    )


def tokenizer(*literals: str, **named: str) -> Any:
    """A byte-level BPE tokenizer; processors find `named` tokens as attributes, others as text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<|im_start|>", "<|im_end|>", *literals, *named.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=[AddedToken(text, special=True) for text in dict.fromkeys(specials)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<pad>",
        extra_special_tokens=named,
    )


def chatml(image: str, video: str | None = None) -> str:
    """A chat template in Qwen's style with a family's placeholders."""
    return TEMPLATE.replace("IMAGE", image).replace("VIDEO", video or image)


def text(kind: str = "qwen2", **changes: Any) -> dict[str, Any]:
    """The config of a tiny decoder."""
    config: dict[str, Any] = {
        "model_type": kind,
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    }
    return {**config, **changes}


def siglip(size: int = 56, patch: int = 14, **changes: Any) -> dict[str, Any]:
    """The config of a tiny SigLIP tower."""
    config = {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": size,
        "patch_size": patch,
        "vision_use_head": False,
    }
    return {**config, **changes}


def clip(size: int = 56, patch: int = 14) -> dict[str, Any]:
    """The config of a tiny CLIP tower, whose first row is a class token."""
    return {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": size,
        "patch_size": patch,
        "projection_dim": 32,
    }


def square(size: int) -> dict[str, int]:
    """A size as image processors take it."""
    return {"height": size, "width": size}


def mrope(*sections: int) -> dict[str, Any]:
    """Rotary parameters with position axes for time, height and width."""
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(sections)}
