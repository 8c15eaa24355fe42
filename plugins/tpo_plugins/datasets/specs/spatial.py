"""Datasets of boxes in pictures."""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

SPECS = (
    DatasetSpec(
        name="all_seeing_v2",
        target="tpo_plugins.datasets.all_seeing_v2:read",
        tasks=("region",),
        licence="Apache-2.0",
        home="https://huggingface.co/datasets/OpenGVLab/AS-V2",
        files=(
            "{rec,sgc}_conversation_22k.json",
            "{rec,sgc}_detailed_description_42k.json",
            "{rec,sgc}_region_captioning_63k.json",
            "as_mix_4m.json",
            "as_pretrain_10m.json",
            "llava_v1_5_mix665k_asmv2_format.json",
            "*_wo_square_pad.json",
        ),
        splits=(
            "conversation",
            "detailed_description",
            "region_captioning",
            "mix",
            "pretrain",
            "mix665k",
        ),
        summary="conversations about pictures with boxes of objects and their relations",
    ),
    *(
        DatasetSpec(
            name=name,
            target=f"tpo_plugins.datasets.refcoco:{reader}",
            tasks=("region", "mask"),
            licence="see its home page; pictures of COCO",
            home="https://github.com/lichengunc/refer",
            files=(
                f"{released}/refs({by}).p",
                f"{released}/instances.json",
                f"finetune_{released}_<split>.json",
                f"{released}_<split>.jsonl",
                f"REC_{released}_<split>.jsonl",
                "COCO_train2014_<id>.jpg",
            ),
            splits=splits,
            summary=f"{summary}, in any of four styles of files",
        )
        for name, reader, released, by, splits, summary in (
            (
                "refcoco",
                "read_refcoco",
                "refcoco",
                "unc",
                ("train", "val", "testA", "testB"),
                "phrases for objects of COCO's pictures",
            ),
            (
                "refcoco_plus",
                "read_refcoco_plus",
                "refcoco+",
                "unc",
                ("train", "val", "testA", "testB"),
                "phrases that say nothing of places",
            ),
            (
                "refcocog",
                "read_refcocog",
                "refcocog",
                "umd",
                ("train", "val", "test"),
                "whole sentences for objects of COCO's pictures",
            ),
        )
    ),
    DatasetSpec(
        name="visual_genome",
        target="tpo_plugins.datasets.visual_genome:read",
        tasks=("region",),
        licence="CC-BY-4.0",
        home="https://homes.cs.washington.edu/~ranjay/visualgenome/",
        files=(
            "region_descriptions.json",
            "image_data.json",
            "VG_100K/<id>.jpg",
            "VG_100K_2/<id>.jpg",
        ),
        summary="phrases for regions of pictures",
    ),
)
