"""Datasets of conversations about pictures and videos, without task labels."""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

SPECS = (
    DatasetSpec(
        name="llava_hound_dpo",
        target="tpo_plugins.datasets.llava_hound_dpo:read",
        licence="see its home page",
        home="https://huggingface.co/datasets/ShareGPTVideo/train_video_and_instruction",
        files=(
            "video_240k_caption_15k.jsonl",
            "video_caption_300k.jsonl",
            "sft_dpo_17k.jsonl",
            "train_300k/<video>/",
        ),
        splits=("instruction", "caption", "dpo"),
        summary="captions, instructions and preferences about videos as frames",
    ),
    DatasetSpec(
        name="sharegpt4o",
        target="tpo_plugins.datasets.sharegpt4o:read",
        licence="see its home page",
        home="https://sharegpt4o.github.io",
        files=("image_conversations/gpt-4o.jsonl", "video_conversations/gpt4o.jsonl"),
        splits=("image", "video"),
        summary="detailed descriptions of pictures and videos by GPT-4o",
    ),
    DatasetSpec(
        name="sharegpt4v",
        target="tpo_plugins.datasets.sharegpt4v:read",
        licence="CC-BY-NC-4.0",
        home="https://sharegpt4v.github.io",
        files=(
            "sharegpt4v_instruct_gpt4-vision_cap100k.json",
            "share-captioner_coco_lcs_sam_1246k_1107.json",
            "sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json",
        ),
        splits=("cap100k", "captioner", "mix665k"),
        summary="descriptions of pictures by GPT-4V, and a mixture for instruction",
    ),
    DatasetSpec(
        name="videochat2_it",
        target="tpo_plugins.datasets.videochat2_it:read",
        licence="see its home page",
        home="https://huggingface.co/datasets/OpenGVLab/VideoChat2-IT",
        files=("{image,video}/<kind>/<name>/train.json", "<name>/"),
        splits=("train",),
        summary="questions about pictures and videos from some thirty sources",
    ),
    DatasetSpec(
        name="youcook2",
        target="tpo_plugins.datasets.youcook2:read",
        licence="see its home page",
        home="http://youcook2.eecs.umich.edu",
        files=("youcookii_annotations_trainval.json", "raw_videos/<subset>/<recipe>/<id>.mp4"),
        splits=("train", "val"),
        summary="what happens in the steps of cooking videos",
    ),
)
