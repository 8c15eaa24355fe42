"""Tiny LLaVA models and their kin: a tower, a projector, placeholders replaced one by one."""

from __future__ import annotations

from typing import Any

from tests.backbones.tiny.parts import (
    PLAIN,
    chatml,
    clip,
    sentencepiece,
    siglip,
    square,
    text,
    tokenizer,
)

Tiny = tuple[dict[str, Any], Any]
_SIZES = {"size": {"shortest_edge": 56}, "crop_size": square(56)}


def llava() -> Tiny:
    from transformers import LlavaImageProcessor, LlavaProcessor

    tok = sentencepiece(image_token="<image>")
    processor = LlavaProcessor(
        image_processor=LlavaImageProcessor(**_SIZES),
        tokenizer=tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=PLAIN,
    )
    config = {
        "model_type": "llava",
        "text_config": text("llama"),
        "vision_config": clip(),
        "image_token_index": tok.image_token_id,
        "image_seq_length": 16,
        "vision_feature_select_strategy": "default",
        "vision_feature_layer": -2,
    }
    return config, processor


def llava_next() -> Tiny:
    from transformers import LlavaNextImageProcessor, LlavaNextProcessor

    tok = tokenizer(image_token="<image>")
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            **_SIZES, image_grid_pinpoints=[[56, 112], [112, 56]]
        ),
        tokenizer=tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chatml("<image>\\n"),
    )
    config = {
        "model_type": "llava_next",
        "text_config": text("mistral", sliding_window=None),
        "vision_config": clip(),
        "image_token_index": tok.image_token_id,
        "image_grid_pinpoints": [[56, 112], [112, 56]],
        "vision_feature_select_strategy": "default",
        "vision_feature_layer": -2,
    }
    return config, processor


def llava_next_video() -> Tiny:
    from transformers import (
        LlavaNextImageProcessor,
        LlavaNextVideoProcessor,
        LlavaNextVideoVideoProcessor,
    )

    tok = sentencepiece(image_token="<image>", video_token="<video>")
    processor = LlavaNextVideoProcessor(
        image_processor=LlavaNextImageProcessor(**_SIZES, image_grid_pinpoints=[[56, 112]]),
        video_processor=LlavaNextVideoVideoProcessor(**_SIZES),
        tokenizer=tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=PLAIN,
    )
    config = {
        "model_type": "llava_next_video",
        "text_config": text("llama"),
        "vision_config": clip(),
        "image_token_index": tok.image_token_id,
        "video_token_index": tok.video_token_id,
        "image_grid_pinpoints": [[56, 112]],
        "vision_feature_select_strategy": "default",
        "vision_feature_layer": -2,
    }
    return config, processor


def llava_onevision() -> Tiny:
    from transformers import (
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    tok = tokenizer(image_token="<image>", video_token="<video>")
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(
            size=square(56), image_grid_pinpoints=[[56, 56]]
        ),
        tokenizer=tok,
        video_processor=LlavaOnevisionVideoProcessor(size=square(56)),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>", "<video>"),
    )
    config = {
        "model_type": "llava_onevision",
        "text_config": text("qwen2"),
        "vision_config": siglip(),
        "image_token_id": tok.image_token_id,
        "video_token_id": tok.video_token_id,
        "image_grid_pinpoints": [[56, 56]],
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }
    return config, processor


def video_llava() -> Tiny:
    from transformers import VideoLlavaImageProcessor, VideoLlavaProcessor, VideoLlavaVideoProcessor

    tok = sentencepiece(image_token="<image>", video_token="<video>")
    processor = VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(**_SIZES),
        video_processor=VideoLlavaVideoProcessor(**_SIZES),
        tokenizer=tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=PLAIN,
    )
    config = {
        "model_type": "video_llava",
        "text_config": text("llama"),
        "vision_config": clip(),
        "image_token_index": tok.image_token_id,
        "video_token_index": tok.video_token_id,
        "image_seq_length": 16,
        "video_seq_length": 17 * 8,
    }
    return config, processor


def fast_vlm() -> Tiny:
    from transformers import LlavaImageProcessor, LlavaProcessor

    tok = tokenizer(image_token="<image>")
    processor = LlavaProcessor(
        image_processor=LlavaImageProcessor(size={"shortest_edge": 128}, crop_size=square(128)),
        tokenizer=tok,
        patch_size=64,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>\\n"),
    )
    widths = [8, 16, 16, 32, 32]
    vision = {
        "model_type": "timm_wrapper",
        "architecture": "fastvit_mci3",
        "hidden_size": 2 * widths[-1],
        "model_args": {
            "embed_dims": widths,
            "layers": [1, 1, 1, 1, 1],
            "mlp_ratios": [1, 1, 1, 1, 1],
        },
        "num_classes": 0,
        "do_pooling": False,
    }
    config = {
        "model_type": "fast_vlm",
        "text_config": text("qwen2"),
        "vision_config": vision,
        "image_token_index": tok.image_token_id,
        "image_seq_length": 4,
    }
    return config, processor


def mistral3() -> Tiny:
    from transformers import PixtralImageProcessor, PixtralProcessor

    tok = tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessor(patch_size=square(14), size={"longest_edge": 84}),
        tokenizer=tok,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=chatml("[IMG]"),
    )
    config = {
        "model_type": "mistral3",
        "text_config": text("mistral", sliding_window=None, head_dim=16),
        "vision_config": {
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "head_dim": 16,
            "image_size": 84,
            "patch_size": 14,
        },
        "image_token_index": tok.convert_tokens_to_ids("[IMG]"),
        "spatial_merge_size": 2,
        "vision_feature_layer": -1,
        "tie_word_embeddings": False,
    }
    return config, processor


FAMILIES = {
    "llava": llava,
    "llava_next": llava_next,
    "llava_next_video": llava_next_video,
    "llava_onevision": llava_onevision,
    "video_llava": video_llava,
    "fast_vlm": fast_vlm,
    "mistral3": mistral3,
}
