"""Tiny models that cut images into tiles or give each image a fixed number of tokens."""

from __future__ import annotations

from typing import Any

from tests.backbones.tiny.parts import (
    HIDDEN,
    VOCABULARY,
    chatml,
    siglip,
    square,
    text,
    tokenizer,
)

Tiny = tuple[dict[str, Any], Any]


def internvl() -> Tiny:
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    tok = tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=square(56), crop_to_patches=True, max_patches=2),
        video_processor=InternVLVideoProcessor(size=square(56)),
        tokenizer=tok,
        image_seq_length=4,
        chat_template=chatml("<IMG_CONTEXT>\\n", "<video>\\n"),
    )
    config = {
        "model_type": "internvl",
        "text_config": text("qwen2"),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        },
        "image_token_id": tok.context_image_token_id,
        "image_seq_length": 4,
        "tie_word_embeddings": False,
    }
    return config, processor


def _idefics_vision() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
    }


def _idefics_tokenizer() -> Any:
    grid = [f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)]
    return tokenizer(
        "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *grid, "<image>"
    )


# As in the released checkpoints: no blank between the role and a placeholder.
_SMOL_CHAT = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] != 'text' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}{{ '<image>' }}"
    "{% elif part['type'] == 'video' %}{{ '<video>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def smolvlm() -> Tiny:
    from transformers import SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor

    tok = _idefics_tokenizer()
    sizes = {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}}
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(**sizes),
        video_processor=SmolVLMVideoProcessor(
            size={"longest_edge": 56}, max_image_size={"longest_edge": 56}
        ),
        tokenizer=tok,
        image_seq_len=4,
        chat_template=_SMOL_CHAT,
    )
    config = {
        "model_type": "smolvlm",
        "text_config": text("llama"),
        "vision_config": _idefics_vision(),
        "image_token_id": tok.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
    }
    return config, processor


def idefics3() -> Tiny:
    from transformers import Idefics3ImageProcessor, Idefics3Processor

    tok = _idefics_tokenizer()
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessor(
            size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
        ),
        tokenizer=tok,
        image_seq_len=4,
        chat_template=_SMOL_CHAT,
    )
    config = {
        "model_type": "idefics3",
        "text_config": text("llama"),
        "vision_config": _idefics_vision(),
        "image_token_id": tok.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
    }
    return config, processor


def aya_vision() -> Tiny:
    from transformers import AyaVisionProcessor, GotOcr2ImageProcessor

    edges = ["<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>"]
    tok = tokenizer(*edges, "TILE_1", "TILE_2", "TILE_GLOBAL", "<image>")
    processor = AyaVisionProcessor(
        image_processor=GotOcr2ImageProcessor(size=square(56), crop_to_patches=True, max_patches=2),
        tokenizer=tok,
        patch_size=14,
        img_size=56,
        downsample_factor=2,
        chat_template=chatml("<image>"),
    )
    config = {
        "model_type": "aya_vision",
        "text_config": text(
            "cohere2", sliding_window=16, layer_types=["sliding_attention", "full_attention"]
        ),
        "vision_config": siglip(),
        "image_token_index": tok.convert_tokens_to_ids("<|IMG_PATCH|>"),
        "downsample_factor": 2,
        "tie_word_embeddings": False,
    }
    return config, processor


def ovis2() -> Tiny:
    from transformers import Ovis2ImageProcessor, Ovis2Processor

    marks = ["<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
    tok = tokenizer(*marks, "<image>")
    ids = [tok.convert_tokens_to_ids(mark) for mark in marks]
    processor = Ovis2Processor(
        image_processor=Ovis2ImageProcessor(size=square(56), crop_to_patches=True, max_patches=2),
        tokenizer=tok,
        image_seq_length=4,
        chat_template=chatml("<image>\\n"),
    )
    config = {
        "model_type": "ovis2",
        "text_config": text("qwen2"),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "vocab_size": 48,
            "hidden_stride": 2,
        },
        "image_token_id": ids[0],
        "visual_indicator_token_ids": ids[1:],
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "tie_word_embeddings": False,
    }
    return config, processor


def janus() -> Tiny:
    from transformers import JanusImageProcessor, JanusProcessor

    tok = tokenizer(
        image_token="<image_placeholder>", boi_token="<begin_of_image>", eoi_token="<end_of_image>"
    )
    processor = JanusProcessor(
        image_processor=JanusImageProcessor(size=square(56)),
        tokenizer=tok,
        num_image_tokens=16,
        chat_template=chatml("<image_placeholder>\\n"),
    )
    config = {
        "model_type": "janus",
        "text_config": text("llama"),
        "vision_config": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "projection_dim": HIDDEN,
            "num_image_tokens": 16,
            "mlp_ratio": 1.5,
        },
        "vq_config": {
            "embed_dim": 8,
            "num_embeddings": 16,
            "latent_channels": 32,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_patches": 4,
            "projection_dim": HIDDEN,
            "image_token_embed_dim": HIDDEN,
        },
        "image_token_id": tok.image_token_id,
        "tie_word_embeddings": False,
    }
    return config, processor


def llama4() -> Tiny:
    from transformers import Llama4ImageProcessor, Llama4Processor

    marks = ["<|image_start|>", "<|image_end|>", "<|patch|>"]
    tiles = ["<|tile_x_separator|>", "<|tile_y_separator|>"]
    tok = tokenizer(*marks, *tiles, "<|image|>")
    processor = Llama4Processor(
        image_processor=Llama4ImageProcessor(size=square(56), max_patches=2),
        tokenizer=tok,
        patch_size=14,
        pixel_shuffle_ratio=0.5,
        chat_template=chatml("<|image|>"),
    )
    ids = [tok.convert_tokens_to_ids(mark) for mark in marks]
    config = {
        "model_type": "llama4",
        "text_config": text(
            "llama4_text",
            head_dim=16,
            intermediate_size_mlp=96,
            num_local_experts=2,
            attention_chunk_size=16,
            no_rope_layers=[1, 0],
            layer_types=["chunked_attention", "full_attention"],
            moe_layers=[1],
        ),
        "vision_config": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 128,
            "vision_output_dim": 32,
            "image_size": 56,
            "patch_size": 14,
            "projector_input_dim": 32,
            "projector_output_dim": 32,
        },
        "boi_token_index": ids[0],
        "eoi_token_index": ids[1],
        "image_token_index": ids[2],
    }
    return config, processor


def lfm2_vl() -> Tiny:
    from transformers import Lfm2VlImageProcessor, Lfm2VlProcessor

    marks = ["<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"]
    grid = [f"<|img_row_{row}_col_{col}|>" for row in (1, 2) for col in (1, 2)]
    tok = tokenizer(*marks, *grid, "<image>")
    processor = Lfm2VlProcessor(
        image_processor=Lfm2VlImageProcessor(
            encoder_patch_size=14,
            tile_size=56,
            size=square(56),
            min_image_tokens=4,
            max_image_tokens=16,
            max_num_patches=64,
            max_tiles=2,
        ),
        tokenizer=tok,
        chat_template=chatml("<image>"),
    )
    config = {
        "model_type": "lfm2_vl",
        "text_config": text(
            "lfm2",
            layer_types=["conv", "full_attention"],
            block_auto_adjust_ff_dim=False,
        ),
        "vision_config": {
            "model_type": "siglip2_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 14,
            "num_patches": 64,
            "vision_use_head": False,
        },
        "image_token_id": tok.convert_tokens_to_ids("<image>"),
        "projector_hidden_size": 48,
        "tie_word_embeddings": False,
    }
    return config, processor


FAMILIES = {
    "internvl": internvl,
    "smolvlm": smolvlm,
    "idefics3": idefics3,
    "aya_vision": aya_vision,
    "ovis2": ovis2,
    "janus": janus,
    "llama4": llama4,
    "lfm2_vl": lfm2_vl,
}
