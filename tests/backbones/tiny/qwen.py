"""Tiny models of the Qwen-VL kind: patches of any size, grids, positions in three axes."""

from __future__ import annotations

from typing import Any

from tests.backbones.tiny.parts import HIDDEN, chatml, mrope, text, tokenizer

Tiny = tuple[dict[str, Any], Any]
_PAD = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
_CHAT = chatml(
    "<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"
)


def _pixels(patch: int) -> dict[str, int]:
    """Between 2 x 2 and 4 x 4 merged patches."""
    return {"shortest_edge": (4 * patch) ** 2, "longest_edge": (8 * patch) ** 2}


def _ids(tok: Any) -> dict[str, int]:
    names = ("image", "video")
    return {f"{name}_token_id": getattr(tok, f"{name}_token_id") for name in names} | {
        "vision_start_token_id": tok.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tok.convert_tokens_to_ids("<|vision_end|>"),
    }


def _qwen_processor(processor_class: Any, video_class: Any, patch: int) -> Any:
    from transformers import Qwen2VLImageProcessor

    tok = tokenizer("<|vision_start|>", "<|vision_end|>", **_PAD)
    return processor_class(
        image_processor=Qwen2VLImageProcessor(patch_size=patch, size=_pixels(patch)),
        video_processor=video_class(
            patch_size=patch,
            # A video's limits count the pixels of all its frames.
            size={name: 8 * value for name, value in _pixels(patch).items()},
        ),
        tokenizer=tok,
        chat_template=_CHAT,
    )


def qwen2_vl() -> Tiny:
    from transformers import Qwen2VLProcessor, Qwen2VLVideoProcessor

    processor = _qwen_processor(Qwen2VLProcessor, Qwen2VLVideoProcessor, 14)
    config = {
        "model_type": "qwen2_vl",
        "text_config": text("qwen2_vl_text", rope_parameters=mrope(2, 3, 3)),
        "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": HIDDEN, "num_heads": 2},
        **_ids(processor.tokenizer),
    }
    return config, processor


def qwen2_5_vl() -> Tiny:
    from transformers import Qwen2_5_VLProcessor, Qwen2VLVideoProcessor

    processor = _qwen_processor(Qwen2_5_VLProcessor, Qwen2VLVideoProcessor, 14)
    config = {
        "model_type": "qwen2_5_vl",
        "text_config": text("qwen2_5_vl_text", rope_parameters=mrope(2, 3, 3)),
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        **_ids(processor.tokenizer),
    }
    return config, processor


def _qwen3_vision() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 64,
    }


def qwen3_vl() -> Tiny:
    from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

    processor = _qwen_processor(Qwen3VLProcessor, Qwen3VLVideoProcessor, 16)
    config = {
        "model_type": "qwen3_vl",
        "text_config": text(
            "qwen3_vl_text",
            head_dim=16,
            rope_parameters=mrope(2, 3, 3),
            num_hidden_layers=3,  # features added behind the last layer would reach no answer
        ),
        "vision_config": {**_qwen3_vision(), "deepstack_visual_indexes": [0, 1]},
        **_ids(processor.tokenizer),
    }
    return config, processor


def qwen3_5() -> Tiny:
    from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

    processor = _qwen_processor(Qwen3VLProcessor, Qwen3VLVideoProcessor, 16)
    config = {
        "model_type": "qwen3_5",
        "text_config": _qwen3_5_text(),
        "vision_config": _qwen3_vision(),
        **_ids(processor.tokenizer),
    }
    return config, processor


def _qwen3_5_text() -> dict[str, Any]:
    return text(
        "qwen3_5_text",
        head_dim=32,
        rope_parameters={**mrope(1, 1, 2), "partial_rotary_factor": 0.25},
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        layer_types=["linear_attention", "full_attention"],
    )


def glm4v() -> Tiny:
    from transformers import Glm4vImageProcessor, Glm4vProcessor, Glm4vVideoProcessor

    edges = ["<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"]
    tok = tokenizer(*edges, image_token="<|image|>", video_token="<|video|>")
    processor = Glm4vProcessor(
        image_processor=Glm4vImageProcessor(size=_pixels(14)),
        video_processor=Glm4vVideoProcessor(
            size={name: 8 * value for name, value in _pixels(14).items()}
        ),
        tokenizer=tok,
        chat_template=chatml(f"{edges[0]}<|image|>{edges[1]}", f"{edges[2]}<|video|>{edges[3]}"),
    )
    starts = [tok.convert_tokens_to_ids(edge) for edge in edges]
    config = {
        "model_type": "glm4v",
        "text_config": text(
            "glm4v_text",
            rope_parameters={**mrope(1, 1, 2), "partial_rotary_factor": 0.5},
        ),
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "image_size": 112,
            "out_hidden_size": HIDDEN,
            "intermediate_size": 48,
        },
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
        "image_start_token_id": starts[0],
        "image_end_token_id": starts[1],
        "video_start_token_id": starts[2],
        "video_end_token_id": starts[3],
    }
    return config, processor


def video_llama_3() -> Tiny:
    from transformers import (
        VideoLlama3ImageProcessor,
        VideoLlama3Processor,
        VideoLlama3VideoProcessor,
    )

    tok = tokenizer(**_PAD)
    processor = VideoLlama3Processor(
        image_processor=VideoLlama3ImageProcessor(patch_size=14, size=_pixels(14)),
        video_processor=VideoLlama3VideoProcessor(
            patch_size=14, size={name: 4 * value for name, value in _pixels(14).items()}
        ),
        tokenizer=tok,
        chat_template=chatml("<|image_pad|>\\n", "<|video_pad|>\\n"),
    )
    config = {
        "model_type": "video_llama_3",
        "text_config": text("qwen2"),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 14,
        },
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
    }
    return config, processor


def kimi_k25() -> Tiny:
    from transformers import Kimi_K25ImageProcessor, Kimi_K25Processor, Kimi_K25VideoProcessor

    media = ["<|media_begin|>", "<|media_content|>", "<|media_end|>"]
    pads = {"image_token": "<|media_pad|>", "video_token": "<|kimi_k25_video_placeholder|>"}
    tok = tokenizer(*media, **pads)
    size = {"max_height": 112, "max_width": 112}
    processor = Kimi_K25Processor(
        image_processor=Kimi_K25ImageProcessor(size=size),
        video_processor=Kimi_K25VideoProcessor(size=size),
        tokenizer=tok,
        chat_template=chatml(
            f"{media[0]}image{media[1]}<|media_pad|>{media[2]}\\n", pads["video_token"]
        ),
    )
    config = {
        "model_type": "kimi_k25",
        "text_config": text(
            "deepseek_v3",
            num_key_value_heads=4,
            q_lora_rank=16,
            kv_lora_rank=16,
            qk_rope_head_dim=8,
            qk_nope_head_dim=8,
            v_head_dim=16,
            n_routed_experts=4,
            n_shared_experts=1,
            num_experts_per_tok=2,
            n_group=1,
            topk_group=1,
            moe_intermediate_size=32,
            first_k_dense_replace=1,
        ),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
        },
        "projection_hidden_size": 32,
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
        "tie_word_embeddings": False,
    }
    return config, processor


def minicpmv4_6() -> Tiny:
    from transformers import (
        MiniCPMV4_6ImageProcessor,
        MiniCPMV4_6Processor,
        MiniCPMV4_6VideoProcessor,
    )

    tok = tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        image_start_token="<image>",
        image_end_token="</image>",
        slice_start_token="<slice>",
        slice_end_token="</slice>",
        image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
    )
    sizes = {"scale_resolution": 112, "patch_size": 14, "max_slice_nums": 1}
    processor = MiniCPMV4_6Processor(
        image_processor=MiniCPMV4_6ImageProcessor(**sizes),
        video_processor=MiniCPMV4_6VideoProcessor(**sizes),
        tokenizer=tok,
        chat_template=chatml("<|image_pad|>\\n", "<|video_pad|>\\n"),
    )
    config = {
        "model_type": "minicpmv4_6",
        "text_config": _qwen3_5_text(),
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "insert_layer_id": 0,
        },
        "insert_layer_id": 0,
        "image_size": 112,
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
    }
    return config, processor


def perception_lm() -> Tiny:
    from transformers import (
        PerceptionLMImageProcessor,
        PerceptionLMProcessor,
        PerceptionLMVideoProcessor,
    )

    tok = tokenizer(image_token="<|image|>", video_token="<|video|>")
    processor = PerceptionLMProcessor(
        image_processor=PerceptionLMImageProcessor(
            tile_size=56, max_num_tiles=2, size={"height": 56, "width": 56}
        ),
        video_processor=PerceptionLMVideoProcessor(size={"height": 56, "width": 56}),
        tokenizer=tok,
        patch_size=14,
        pooling_ratio=2,
        chat_template=chatml("<|image|>", "<|video|>"),
    )
    config = {
        "model_type": "perception_lm",
        "text_config": text("llama"),
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_lang_large_patch14_448",
            "hidden_size": 32,
            "model_args": {
                "embed_dim": 32,
                "depth": 2,
                "num_heads": 2,
                "img_size": [56, 56],
                "ref_feat_shape": [4, 4],
                "global_pool": "",
                "init_values": 0.1,
                "use_post_transformer_norm": False,
            },
            "num_classes": 0,
            "do_pooling": False,
        },
        "vision_use_cls_token": True,
        "projector_pooling_ratio": 2,
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
        "tie_word_embeddings": False,
    }
    return config, processor


FAMILIES = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "qwen3_5": qwen3_5,
    "glm4v": glm4v,
    "video_llama_3": video_llama_3,
    "kimi_k25": kimi_k25,
    "minicpmv4_6": minicpmv4_6,
    "perception_lm": perception_lm,
}
