"""Moments: releases in the exact layouts, with every quirk that they are known for."""

from __future__ import annotations

import pickle

import numpy as np

from tests.plugins.datasets.cases import Release
from tpo_plugins.datasets import didemo, ego4d_nlq, hirest, tacos
from tpo_plugins.datasets import temporal as quirk

ACTIVITYNET = Release(
    name="activitynet_captions",
    split="val_1",
    files={
        "captions/val.json": {  # as copies that rename val_1.json have it
            "v_aaaaaaaaaaa": {
                "duration": 82.7,
                "timestamps": [[0.8, 19.9], [60, 82.71], [-0.5, 3], [5, 5], [9, 8]],
                "sentences": [" A man juggles.", "He bows.", "He enters.", "Nothing.", "No."],
            },
            "v_bbbbbbbbbbb": {"duration": 10, "timestamps": [[0, 1]], "sentences": []},
            "v_ccccccccccc": {
                "duration": 10,
                "timestamps": [[11, 12], [0, 4]],
                "sentences": ["a", "b"],
            },
        },
        "videos/v_aaaaaaaaaaa.webm": None,
        "v_ccccccccccc.mkv": None,
    },
    records={
        "activitynet_captions/val_1/v_aaaaaaaaaaa": (
            "videos/v_aaaaaaaaaaa.webm",
            [
                ("A man juggles", [[0.8, 19.9]]),
                ("He bows", [[60, 82.7]]),
                ("He enters", [[0, 3]]),
            ],
        ),
        "activitynet_captions/val_1/v_ccccccccccc": ("v_ccccccccccc.mkv", [("b", [[0, 4]])]),
    },
    quirks={quirk.CLIPPED: 1, quirk.EARLY: 1, quirk.EMPTY: 2, quirk.OUTSIDE: 1, quirk.BLANKS: 1},
    errors=[("val.json", 2, "v_bbbbbbbbbbb: there are 1 timestamps but 0 sentences")],
)

TACOS = Release(
    name="tacos",
    split="train",
    files={
        "train.json": {
            "s99-d01.avi": {
                "timestamps": [[210, 480], [210, 420], [8950, 9015], [100, 100]],
                "sentences": ["He peels a carrot", "He peels a carrot", "He leaves.", "Nothing"],
                "fps": 30.0,
                "num_frames": 9000,
            },
            "s99-d02.avi": {"timestamps": [[1, 2]], "sentences": ["x"], "fps": 0, "num_frames": 9},
            "s99-d03.avi": {
                "timestamps": [[30, 60]],
                "sentences": ["x"],
                "fps": 30,
                "num_frames": 90,
            },
        },
        "videos/s99-d01-cam-002.mp4": None,
    },
    records={
        "tacos/train/s99-d01.avi": (
            "videos/s99-d01-cam-002.mp4",
            [
                ("He peels a carrot", [[7, 16]]),
                ("He peels a carrot", [[7, 14]]),
                ("He leaves", [[8950 / 30, 300]]),
            ],
        ),
        # The video is missing: the record is there all the same, its media as released.
        "tacos/train/s99-d03.avi": ("s99-d03-cam-002.avi", [("x", [[1, 2]])]),
    },
    quirks={tacos.REPEATED: 1, quirk.CLIPPED: 1, quirk.EMPTY: 1},
    errors=[("train.json", 2, "s99-d02.avi.fps: Input should be greater than 0")],
)

TACOS_WINDOWS = Release(
    name="tacos",
    label="as windows",
    split="val",
    files={
        "tacos_val_release.jsonl": [
            {
                "qid": "s17-d69_0",
                "query": "He washes it.",
                "duration": 60.0,
                "vid": "s17-d69",
                "relevant_windows": [[3.5, 9]],
            }
        ],
        "s17-d69-cam-002.avi": None,
    },
    records={"tacos/val/s17-d69": ("s17-d69-cam-002.avi", [("He washes it", [[3.5, 9]])])},
)

QVHIGHLIGHTS_ROWS = [
    {
        "qid": 9001,
        "query": "a chef slices onions",
        "duration": 10,
        "vid": "AbCdEfGhIjK_60.0_70.0",
        "relevant_windows": [[0, 2], [4, 8]],
        "relevant_clip_ids": [0, 2, 3],
        "saliency_scores": [[4, 4, 4], [0, 1, 2], [0, 0, 0]],
    },
    {
        "qid": 9002,
        "query": "rain",
        "duration": 4,
        "vid": "other_0.0_4.0",
        "relevant_windows": [[0, 2]],
        "relevant_clip_ids": [0, 1],
        "saliency_scores": [[4, 4, 4]],
    },
    {  # again about the first video, not next to its other row
        "qid": 9003,
        "query": "a knife",
        "duration": 10,
        "vid": "AbCdEfGhIjK_60.0_70.0",
        "relevant_windows": [[8, 10]],
        "relevant_clip_ids": [4],
        "saliency_scores": [[2, 2, 2]],
    },
]
QVHIGHLIGHTS = Release(
    name="qvhighlights",
    split="train",
    files={
        "data/highlight_train_release.jsonl": QVHIGHLIGHTS_ROWS,
        "videos/AbCdEfGhIjK_60.0_70.0.mp4": None,
    },
    records={
        "qvhighlights/train/AbCdEfGhIjK_60.0_70.0": (
            "videos/AbCdEfGhIjK_60.0_70.0.mp4",
            [
                ("a chef slices onions", [[0, 2], [4, 8]], [1, 0, 0.25, 0, 0]),
                ("a knife", [[8, 10]], [0, 0, 0, 0, 0.5]),
            ],
        )
    },
    errors=[("highlight_train_release.jsonl", 2, "saliency_scores: 1 scores for 2 clips")],
)
QVHIGHLIGHTS_TEST = Release(
    name="qvhighlights",
    label="without labels",
    split="test",
    files={
        "highlight_test_release.jsonl": [
            {key: row[key] for key in ("qid", "query", "duration", "vid")}
            for row in QVHIGHLIGHTS_ROWS
        ]
    },
    records={},
    quirks={quirk.UNRELEASED: 3},
)

DIDEMO = Release(
    name="didemo",
    split="val",
    files={
        "val_data.json": [
            {
                "annotation_id": 7,
                "description": "a dog jumps",
                "video": "1@N0_23_ab.mov",
                "times": [[1, 1], [1, 2], [1, 1], [1, 1]],
                "num_segments": 6,
                "dl_link": "https://www.flickr.com/video_download.gne?id=23",
            },
            {
                "annotation_id": 8,
                "description": "x",
                "video": "2@N0_9_cd.m4v",
                "times": [[0, 6]],
                "num_segments": 6,
            },
            {
                "annotation_id": 9,
                "description": "the end",
                "video": "3@N0_5_ef.avi",
                "times": [[5, 5], [5, 5], [5, 5], [5, 5], [5, 5]],
                "num_segments": 6,
            },
            {
                "annotation_id": 10,
                "description": "it lies down",
                "video": "1@N0_23_ab.mov",
                "times": [[3, 3], [3, 3], [3, 3], [3, 3]],
                "num_segments": 6,
            },
        ],
        "videos/1@N0_23_ab.mov.mp4": None,
    },
    records={
        "didemo/val/1@N0_23_ab": (
            "videos/1@N0_23_ab.mov.mp4",
            # Chunks 1 to 1.25 on average: seconds 5 to 11.25, rounded.
            [("a dog jumps", [[5, 11]]), ("it lies down", [[15, 20]])],
        ),
        "didemo/val/3@N0_5_ef": ("3@N0_5_ef.mp4", [("the end", [[25, 30]])]),
    },
    quirks={didemo.DISAGREED: 1, didemo.UNUSUAL: 1, didemo.UNTIMED: 1},
    errors=[("val_data.json", 2, "[1].times: chunks 0 to 6 are not within 0 to 5")],
)

QUERYD = Release(
    name="queryd",
    split="train",
    files={
        "train_list.txt": "video-AAAAAAAAAAA\nvideo-BBBBBBBBBBB\nvideo-CCCCCCCCCCC\n",
        "raw_captions_combined_filtered-v2.pkl": pickle.dumps(
            {
                "video-AAAAAAAAAAA": [["a", "man", "opens", "the", "door"], [], ["he", "leaves"]],
                "video-CCCCCCCCCCC": [["nothing"], ["more"]],
            }
        ),
        "times_captions_combined_filtered-v2.pkl": pickle.dumps(
            {
                "video-AAAAAAAAAAA": np.array([[12.3, 15.0], [20, 21], [9, 9]]),
                "video-CCCCCCCCCCC": [[1, 2]],
            },
            protocol=2,
        ),
        "confidence_captions_combined_filtered-v2.pkl": pickle.dumps({}),
        "videos/AAAAAAAAAAA.mp4": None,
    },
    records={
        "queryd/train/video-AAAAAAAAAAA": (
            "videos/AAAAAAAAAAA.mp4",
            [("a man opens the door", [[12.3, 15.0]])],
        )
    },
    quirks={quirk.UNTIMED: 3, quirk.EMPTY: 1, quirk.WORDLESS: 1},
    errors=[
        ("train_list.txt", 2, "the pickle of the captions has no 'video-BBBBBBBBBBB'"),
        ("train_list.txt", 3, "there are 2 captions but 1 times"),
    ],
)

HIREST = Release(
    name="hirest",
    split="train",
    files={
        "splits/all_data_train.json": {
            "Make tea": {
                "ABCDEFGHIJK.mp4": {
                    "relevant": True,
                    "clip": True,
                    "v_duration": 90.5,
                    "bounds": [10, 91],
                    "steps": [
                        {"index": 0, "heading": "boil water ", "absolute_bounds": [10, 30]},
                        {"index": 1, "heading": "wait", "absolute_bounds": [30, 30]},
                    ],
                },
                "LLLLLLLLLLL.mp4": {
                    "relevant": True,
                    "clip": False,
                    "v_duration": 60.0,
                    "bounds": [0, 0],
                    "steps": [],
                },
                "MMMMMMMMMMM.mp4": {},
            },
            "Boil water": {
                "ABCDEFGHIJK.mp4": {
                    "relevant": True,
                    "clip": True,
                    "v_duration": 90.5,
                    "bounds": [5, 30],
                    "steps": [],
                },
            },
        },
        "videos/ABCDEFGHIJK.mp4": None,
    },
    records={
        "hirest/train/ABCDEFGHIJK": (
            "videos/ABCDEFGHIJK.mp4",
            [
                ("Make tea", [[10, 90.5]]),
                ("boil water", [[10, 30]]),
                ("Boil water", [[5, 30]]),
            ],
        )
    },
    quirks={hirest.UNCLIPPED: 1, quirk.EMPTY: 1, quirk.BLANKS: 1, quirk.CLIPPED: 1},
    errors=[("all_data_train.json", 3, "Make tea.MMMMMMMMMMM.mp4.clip: Field required")],
)
HIREST_TEST = Release(
    name="hirest",
    label="without answers",
    split="test",
    files={
        "all_data_test.json": {
            "Make tea": {
                "ABCDEFGHIJK.mp4": {
                    "relevant": True,
                    "clip": True,
                    "v_duration": 9.5,
                    "bounds": [0, 1],
                    "steps": [],
                }
            }
        },
        # Distractors of the retrieval task; never read.
        "all_data_test_negative_samples.json": {"Make tea": {"XXXXXXXXXXX.mp4": {}}},
    },
    records={},
    quirks={quirk.UNRELEASED: 1},
)


def nlq(*queries):
    """Return an Ego4D file with one clip, from 100 to 580 s of its video."""
    annotation = {"annotation_uid": "ann", "language_queries": list(queries)}
    clip = {
        "clip_uid": "clip-1",
        "video_start_sec": 100.0,
        "video_end_sec": 580.0,
        "annotations": [annotation],
    }
    broken = {"clip_uid": "clip-2", "annotations": []}
    return {"version": "1", "videos": [{"video_uid": "video-1", "clips": [clip, broken]}]}


NLQ_QUERIES = (
    {
        "query": "Where was the red cup?",
        "clip_start_sec": 31.2,
        "clip_end_sec": 33.0,
        "video_start_sec": 131.2,
        "video_end_sec": 133.0,
        "template": "Objects: Where is X?",
    },
    {"clip_start_sec": 1.0, "clip_end_sec": 2.0, "video_start_sec": 101.0, "video_end_sec": 102.0},
    {"query": "", "clip_start_sec": 1.0, "clip_end_sec": 2.0},
    {
        "query": "Who?",
        "clip_start_sec": 5.0,
        "clip_end_sec": 5.0,
        "video_start_sec": 105.0,
        "video_end_sec": 105.0,
    },
)
NLQ_ERRORS = [("nlq_val.json", 2, "[0].clips[1].video_start_sec: Field required")]
EGO4D = Release(
    name="ego4d_nlq",
    split="val",
    files={"v2/annotations/nlq_val.json": nlq(*NLQ_QUERIES), "v2/clips/clip-1.mp4": None},
    records={
        "ego4d_nlq/val/clip-1": (
            "v2/clips/clip-1.mp4",
            [("Where was the red cup?", [[31.2, 33.0]])],
        )
    },
    quirks={quirk.WORDLESS: 2, quirk.EMPTY: 1},
    errors=NLQ_ERRORS,
)
EGO4D_WHOLE = Release(
    name="ego4d_nlq",
    label="with whole videos",
    split="val",
    files={"nlq_val.json": nlq(*NLQ_QUERIES), "full_scale/video-1.mp4": None},
    records={
        "ego4d_nlq/val/clip-1": (
            "full_scale/video-1.mp4",
            [("Where was the red cup?", [[131.2, 133.0]])],
        )
    },
    quirks={quirk.WORDLESS: 2, quirk.EMPTY: 1, ego4d_nlq.WHOLE: 1},
    errors=NLQ_ERRORS,
)
EGO4D_TEST = Release(
    name="ego4d_nlq",
    label="without answers",
    split="test",
    files={"nlq_test_unannotated.json": {"videos": nlq({"query": "Where?"})["videos"]}},
    records={},
    quirks={quirk.UNRELEASED: 1},
    errors=[("nlq_test_unannotated.json", 2, "video_start_sec: Field required")],
)

CHARADES_LINES = """\
AB12C 3.4 9.0##person opens a box.
CD34E 20.5 13.0##reversed.
AB12C 5.0 31.54##person closes it.
EF56G 40.0 45.0##after the end.
GH78I 0.0 4.0##no length.
AB12C 1.0 2.0##twice ## marked.
AB12C one 2.0##no number.
"""
CHARADES_CSV = """\
id,subject,script,length
AB12C,X1,"a, b",30.00
CD34E,X2,,30
EF56G,X3,,33.5
JJJJJ,X4,,long
"""
CHARADES = Release(
    name="charades_sta",
    split="train",
    files={
        "charades_sta_train.txt": CHARADES_LINES,
        "Charades/Charades_v1_train.csv": CHARADES_CSV,
        "Charades_v1_480/AB12C.mp4": None,
    },
    records={
        "charades_sta/train/AB12C": (
            "Charades_v1_480/AB12C.mp4",
            [("person opens a box", [[3.4, 9]]), ("person closes it", [[5, 30]])],
        ),
        "charades_sta/train/GH78I": ("GH78I.mp4", [("no length", [[0, 4]])]),
    },
    quirks={quirk.CLIPPED: 1, quirk.EMPTY: 1, quirk.OUTSIDE: 1, quirk.UNTIMED: 1},
    errors=[
        ("Charades_v1_train.csv", 5, "length: 'long' is no length in seconds"),
        ("charades_sta_train.txt", 6, "is no line of the form 'VIDEO start end##sentence'"),
        ("charades_sta_train.txt", 7, "is no line of the form 'VIDEO start end##sentence'"),
    ],
)
CHARADES_WINDOWS = Release(
    name="charades_sta",
    label="as windows",
    split="test",
    files={
        "charades_sta_test_tvr_format.jsonl": [
            {
                "qid": 0,
                "query": "q",
                "duration": 6,
                "vid": "AB12C",
                "relevant_windows": [[0.0, 6.9]],
            }
        ]
    },
    records={"charades_sta/test/AB12C": ("AB12C.mp4", [("q", [[0, 6]])])},
    quirks={quirk.CLIPPED: 1},
)

RELEASES = [
    ACTIVITYNET,
    TACOS,
    TACOS_WINDOWS,
    QVHIGHLIGHTS,
    QVHIGHLIGHTS_TEST,
    DIDEMO,
    QUERYD,
    HIREST,
    HIREST_TEST,
    EGO4D,
    EGO4D_WHOLE,
    EGO4D_TEST,
    CHARADES,
    CHARADES_WINDOWS,
]
