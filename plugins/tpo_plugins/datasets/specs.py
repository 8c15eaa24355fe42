"""The datasets that ship with the package: what each is, and where its reader lives.

This module is imported whenever plugins are listed: specs only, no reader, no torch.
"""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

OWN = (
    DatasetSpec(
        name="jsonl",
        target="tpo_plugins.datasets.jsonl:read",
        files=("*.jsonl",),
        summary="any data in the record format: a JSONL file, or a folder of them",
    ),
    DatasetSpec(
        name="tiny_world",
        target="tpo_plugins.datasets.tiny_world:read",
        tasks=("region", "temporal", "mask"),
        licence="Apache-2.0",
        files=("world.json", "train.jsonl", "val.jsonl", "test.jsonl"),
        summary="the embedded world of moving shapes, written on first use",
    ),
)

TEMPORAL = (
    DatasetSpec(
        name="activitynet_captions",
        target="tpo_plugins.datasets.activitynet_captions:read",
        tasks=("temporal",),
        licence="see its home page",
        home="https://cs.stanford.edu/people/ranjaykrishna/densevid/",
        files=("train.json", "val_1.json", "val_2.json", "v_<id>.mp4"),
        splits=("train", "val_1", "val_2"),
        summary="sentences about moments of YouTube videos",
    ),
    DatasetSpec(
        name="charades_sta",
        target="tpo_plugins.datasets.charades_sta:read",
        tasks=("temporal",),
        licence="Charades licence, non-commercial",
        home="https://github.com/jiyanggao/TALL",
        files=("charades_sta_<split>.txt", "Charades_v1_<split>.csv", "<id>.mp4"),
        splits=("train", "test"),
        summary="sentences about moments of everyday activities",
    ),
    DatasetSpec(
        name="didemo",
        target="tpo_plugins.datasets.didemo:read",
        tasks=("temporal",),
        licence="BSD-2-Clause; videos under Creative Commons licences",
        home="https://github.com/LisaAnne/LocalizingMoments",
        files=("<split>_data.json", "<owner>_<photo>_<hash>.*"),
        splits=("train", "val", "test"),
        summary="descriptions of 5-second chunks of Flickr videos",
    ),
    DatasetSpec(
        name="ego4d_nlq",
        target="tpo_plugins.datasets.ego4d_nlq:read",
        tasks=("temporal",),
        licence="Ego4D licence agreement",
        home="https://ego4d-data.org",
        files=("nlq_train.json", "nlq_val.json", "nlq_test_unannotated.json", "<clip_uid>.mp4"),
        splits=("train", "val", "test"),
        summary="questions about moments of egocentric clips; test has no answers",
    ),
    DatasetSpec(
        name="hirest",
        target="tpo_plugins.datasets.hirest:read",
        tasks=("temporal",),
        licence="see its home page",
        home="https://github.com/j-min/HiREST",
        files=("all_data_<split>.json", "<id>.mp4"),
        splits=("train", "val", "test"),
        summary="moments and steps of instruction videos; test has no answers",
    ),
    DatasetSpec(
        name="queryd",
        target="tpo_plugins.datasets.queryd:read",
        tasks=("temporal",),
        licence="see its home page",
        home="https://www.robots.ox.ac.uk/~vgg/data/queryd/",
        files=(
            "<split>_list.txt",
            "raw_captions_combined_filtered-v2.pkl",
            "times_captions_combined_filtered-v2.pkl",
            "<id>.mp4",
        ),
        splits=("train", "val", "test"),
        summary="spoken descriptions of moments of YouTube videos, transcribed",
    ),
    DatasetSpec(
        name="qvhighlights",
        target="tpo_plugins.datasets.qvhighlights:read",
        tasks=("temporal",),
        licence="CC-BY-NC-SA-4.0",
        home="https://github.com/jayleicn/moment_detr",
        files=("highlight_<split>_release.jsonl", "<youtube id>_<start>_<end>.mp4"),
        splits=("train", "val", "test"),
        summary="queries with moments and the saliency of every 2-second clip",
    ),
    DatasetSpec(
        name="tacos",
        target="tpo_plugins.datasets.tacos:read",
        tasks=("temporal",),
        licence="see its home page",
        home="https://www.coli.uni-saarland.de/projects/smile/page.php?id=tacos",
        files=("<split>.json", "<key>-cam-002.avi"),
        splits=("train", "val", "test"),
        summary="sentences about moments of cooking videos",
    ),
)

CONVERSATION = (
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

SEGMENTATION = (
    DatasetSpec(
        name="mevis",
        target="tpo_plugins.datasets.mevis:read",
        tasks=("mask",),
        licence="CC-BY-NC-SA-4.0",
        home="https://henghuiding.com/MeViS/",
        files=(
            "<split>/meta_expressions.json",
            "<split>/mask_dict.json",
            "<split>/JPEGImages/<video>/<frame>.jpg",
        ),
        splits=("train", "valid_u"),
        summary="phrases about motion for one object or several; valid has no masks",
    ),
    DatasetSpec(
        name="ref_davis17",
        target="tpo_plugins.datasets.ref_davis17:read",
        tasks=("mask",),
        licence="see its home page",
        home="https://davischallenge.org/davis2017/code.html",
        files=(
            "ImageSets/2017/<split>.txt",
            "JPEGImages/480p/<video>/<frame>.jpg",
            "Annotations_unsupervised/480p/<video>/<frame>.png",
            "Davis17_annot{1,2}.txt",
            "Davis17_annot{1,2}_full_video.txt",
        ),
        splits=("train", "val"),
        summary="four phrases for each object of DAVIS 2017",
    ),
    DatasetSpec(
        name="ref_youtube_vos",
        target="tpo_plugins.datasets.ref_youtube_vos:read",
        tasks=("mask",),
        licence="non-commercial research, https://youtube-vos.org/dataset/term/",
        home="https://youtube-vos.org/dataset/rvos/",
        files=(
            "meta_expressions/<split>/meta_expressions.json",
            "train/JPEGImages/<video>/<frame>.jpg",
            "train/Annotations/<video>/<frame>.png",
        ),
        splits=("train",),
        summary="phrases for single objects of YouTube videos; valid has no masks",
    ),
    DatasetSpec(
        name="sa_v",
        target="tpo_plugins.datasets.sa_v:read",
        tasks=("mask",),
        licence="CC-BY-4.0",
        home="https://ai.meta.com/datasets/segment-anything-video/",
        files=(
            "<id>.mp4",
            "<id>_manual.json",
            "<id>_auto.json",
            "sav_<split>.txt",
            "JPEGImages_24fps/<id>/<frame>.jpg",
            "Annotations_6fps/<id>/<object>/<frame>.png",
        ),
        splits=("train", "val", "test"),
        summary="masks of objects through videos, asked for by their boxes",
    ),
)

SPATIAL = (
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

TRACKING = (
    DatasetSpec(
        name="got10k",
        target="tpo_plugins.datasets.got10k:read",
        tasks=("mask",),
        licence="CC-BY-NC-SA-4.0",
        home="http://got-10k.aitestunion.com",
        files=(
            "<split>/list.txt",
            "<split>/<sequence>/<frame>.jpg",
            "<split>/<sequence>/groundtruth.txt",
            "<split>/<sequence>/{absence,cover}.label",
            "<split>/<sequence>/meta_info.ini",
        ),
        splits=("train", "val", "test"),
        summary="boxes of one object through short videos; of test the first alone",
    ),
    DatasetSpec(
        name="lasot",
        target="tpo_plugins.datasets.lasot:read",
        tasks=("mask",),
        licence="see its home page",
        home="http://vision.cs.stonybrook.edu/~lasot/",
        files=(
            "<class>/<class>-<n>/img/<frame>.jpg",
            "<class>/<class>-<n>/groundtruth.txt",
            "<class>/<class>-<n>/{full_occlusion,out_of_view,nlp}.txt",
        ),
        splits=("train", "test"),
        summary="boxes of one object through long videos, and a sentence about it",
    ),
)

DATASETS = (*OWN, *TEMPORAL, *CONVERSATION, *SEGMENTATION, *SPATIAL, *TRACKING)
