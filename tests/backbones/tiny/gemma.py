"""Tiny models in which an image's tokens see each other both ways."""

from __future__ import annotations

from typing import Any

from tests.backbones.tiny.parts import HIDDEN, VOCABULARY, chatml, siglip, square, text, tokenizer

Tiny = tuple[dict[str, Any], Any]


def _paligemma(decoder: dict[str, Any]) -> Tiny:
    from transformers import PaliGemmaProcessor, SiglipImageProcessor

    tok = tokenizer(image_token="<image>")
    tok.add_special_tokens({"bos_token": "<bos>"})
    images = SiglipImageProcessor(size=square(56))
    images.image_seq_length = 16
    processor = PaliGemmaProcessor(image_processor=images, tokenizer=tok)
    rows = len(tok)  # the processor adds 1152 tokens for places and segments
    config = {
        "model_type": "paligemma",
        "text_config": {**decoder, "vocab_size": rows},
        "vision_config": {**siglip(), "projection_dim": HIDDEN},
        "image_token_index": tok.image_token_id,
        "projection_dim": HIDDEN,
        "hidden_size": HIDDEN,
        "vocab_size": rows,
        "tie_word_embeddings": False,
    }
    return config, processor


def paligemma() -> Tiny:
    return _paligemma(text("gemma", head_dim=16))


def paligemma2() -> Tiny:
    return _paligemma(
        text(
            "gemma2",
            head_dim=16,
            query_pre_attn_scalar=16,
            sliding_window=16,
            final_logit_softcapping=30.0,
        )
    )


def gemma3() -> Tiny:
    from transformers import Gemma3ImageProcessor, Gemma3Processor

    tok = tokenizer(
        boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>"
    )
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size=square(56)),
        tokenizer=tok,
        image_seq_length=4,
        chat_template=chatml("<start_of_image>"),
    )
    config = {
        "model_type": "gemma3",
        "text_config": text(
            "gemma3_text",
            head_dim=16,
            query_pre_attn_scalar=16,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        "vision_config": siglip(),
        "mm_tokens_per_image": 4,
        "boi_token_index": tok.boi_token_id,
        "eoi_token_index": tok.eoi_token_id,
        "image_token_index": tok.image_token_id,
        "tie_word_embeddings": False,
    }
    return config, processor


def gemma4() -> Tiny:
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4VideoProcessor,
    )

    tok = tokenizer(
        "<|video|>",
        image_token="<|image|>",
        boi_token="<|image>",
        eoi_token="<image|>",
        audio_token="<|audio|>",
        boa_token="<|audio>",
        eoa_token="<audio|>",
    )
    patches = {"patch_size": 14, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    processor = Gemma4Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessor(**patches),
        tokenizer=tok,
        video_processor=Gemma4VideoProcessor(**patches),
        chat_template=chatml("<|image|>", "<|video|>"),
    )
    config = {
        "model_type": "gemma4",
        "text_config": text(
            "gemma4_text",
            head_dim=16,
            global_head_dim=16,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            use_bidirectional_attention="vision",
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=VOCABULARY,
            final_logit_softcapping=30.0,
        ),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "pooling_kernel_size": 2,
            "patch_size": 14,
            "position_embedding_size": 64,
        },
        "audio_config": None,
        "boi_token_id": tok.boi_token_id,
        "eoi_token_id": tok.eoi_token_id,
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.convert_tokens_to_ids("<|video|>"),
        "boa_token_id": tok.boa_token_id,
        "eoa_token_index": tok.eoa_token_id,
        "audio_token_id": tok.audio_token_id,
        "tie_word_embeddings": False,
    }
    return config, processor


def molmo2() -> Tiny:
    from transformers import Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor

    marks = [
        "<im_start>",
        "<low_res_im_start>",
        "<im_end>",
        "<im_patch>",
        "<im_col>",
        "<im_low>",
        "<frame_start>",
        "<frame_end>",
    ]
    tok = tokenizer(*marks, image_token="<|image|>", video_token="<|video|>")
    tok.add_special_tokens({"bos_token": "<bos>"})
    ids = {mark: tok.convert_tokens_to_ids(mark) for mark in marks}
    processor = Molmo2Processor(
        image_processor=Molmo2ImageProcessor(size=square(56), max_crops=2, overlap_margins=[0, 0]),
        video_processor=Molmo2VideoProcessor(size=square(56), pooling_size=[2, 2]),
        tokenizer=tok,
        chat_template=chatml("<|image|>", "<|video|>"),
    )
    config = {
        "model_type": "molmo2",
        "text_config": text(
            "molmo2_text", head_dim=16, vocab_size=VOCABULARY - 32, additional_vocab_size=32
        ),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "image_size": [56, 56],
            "num_position_embeddings": 16,
        },
        "adapter_config": {
            "vision_feature_layer": [-1, -2],
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 48,
            "text_hidden_size": HIDDEN,
        },
        "image_start_token_id": ids["<im_start>"],
        "low_res_image_start_token_id": ids["<low_res_im_start>"],
        "image_end_token_id": ids["<im_end>"],
        "image_patch_id": ids["<im_patch>"],
        "frame_start_token_id": ids["<frame_start>"],
        "frame_end_token_id": ids["<frame_end>"],
    }
    return config, processor


FAMILIES = {
    "paligemma": paligemma,
    "paligemma2": paligemma2,
    "gemma3": gemma3,
    "gemma4": gemma4,
    "molmo2": molmo2,
}
